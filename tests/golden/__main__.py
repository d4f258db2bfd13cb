"""`python -m tests.golden --write`: the golden files as the code is now. Without `--write`: what differs."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.golden import names, replay
from tests.golden.golden import difference
from tests.golden.kiosk import Kiosk


def golden() -> Iterator[tuple[Path, str]]:
    for name, still in names.STILL.items():
        yield names.NAMES / name, still()
    with (
        tempfile.TemporaryDirectory(prefix="golden-") as folder,
        Kiosk(Path(folder), int(replay.BEGIN.timestamp() * 1e9)) as kiosk,
    ):
        kiosk.start()
        for name, live in names.live(kiosk).items():
            yield names.NAMES / name, live
    with tempfile.TemporaryDirectory(prefix="ledger-golden-") as folder:
        Path(folder).chmod(0o755)
        for name, ledger in names.LEDGER.items():
            yield names.NAMES / name, ledger(Path(folder) / "data")
    with (
        tempfile.TemporaryDirectory(prefix="golden-") as folder,
        Kiosk(Path(folder), int(replay.BEGIN.timestamp() * 1e9)) as kiosk,
    ):
        for name, text in (replay.play_days(kiosk) | replay.play_with_ledger(kiosk)).items():
            yield replay.DAY / name, text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what differs")
    write = parser.parse_args().write
    differ = 0
    for path, text in golden():
        found = difference(path, text)
        if found:
            differ += 1
            sys.stdout.write(f"written: {path.name}\n" if write else f"{found}\n\n")
        if found and write:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if differ and not write else 0


if __name__ == "__main__":
    sys.exit(main())
