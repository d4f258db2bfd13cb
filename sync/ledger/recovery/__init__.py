"""Acts that a restored backup must not undo, and their replay."""
