"""A kiosk of its own process: appends entries and says so, line by line, only after each was kept.

ok SEQ HASH PERSON     kept
no PERSON              not recorded
"""

import argparse
import sys
from pathlib import Path

from edge_agent.journal.errors import JournalUnwritable
from tests.edge_agent.journal.samples import build_entry, open_journal


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--hold", action="store_true", help="stay until stdin ends")
    parser.add_argument("--ballast", type=int, default=0)
    arguments = parser.parse_args()
    with open_journal(arguments.path, ballast_bytes=arguments.ballast) as journal:
        start = journal.outbox.head.seq
        for number in range(start + 1, start + arguments.rows + 1):
            person = f"p{number}"
            try:
                row = journal.append(build_entry(number, person))
            except JournalUnwritable:
                say(f"no {person}")
            else:
                say(f"ok {row.seq} {row.hash.hex()} {person}")
        if arguments.hold:
            sys.stdin.read()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
