"""Coding a region and comparing codes: responses, code, probe, match, gallery, operating point."""
