"""The command line: one file a noun. People read it by default; `--json` is for machines."""
