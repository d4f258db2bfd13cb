"""Finding a hand in a picture and the region of its palm: from pixels to `Region`, or to the reason for none."""
