"""The settings of a kiosk: their tables, and the file that they are read from."""
