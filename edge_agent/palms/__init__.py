"""Palms on a running kiosk: frames in, recognition and enrolment, the sealed gallery and its keys."""
