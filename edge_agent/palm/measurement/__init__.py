"""Measures recognition on sets of pictures: error rates and their pictures. A kiosk loads none of it."""
