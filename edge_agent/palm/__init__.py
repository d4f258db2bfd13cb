"""Hand, region, code, match: who a palm belongs to. Pure: NumPy and OpenCV, no files, no clocks."""
