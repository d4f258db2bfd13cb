"""One parser under atheris, which keeps the inputs that reach new lines: `pip install atheris`, then

    python -m tests.drivers.coverage_fuzz PARSER -max_total_time=600 [FOLDER]

A folder keeps what was found for the next run; a file instead of it, as libFuzzer writes one for a crash, is tried
once. No test runs this: atheris has wheels for some interpreters only.
"""

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

STREAM_BYTES_MAX = 8192
PLACES = 6


def main(name: str, options: list[str]) -> None:
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["drivers", "h11"]):
        from tests.drivers.fuzzing import check
        from tests.drivers.parsers import PARSERS
    parser = PARSERS[name]

    def one(data: bytes) -> None:
        """The first bytes say where to cut."""
        places, stream = data[: 2 * PLACES], data[2 * PLACES :]
        check(parser, stream, [int.from_bytes(places[at : at + 2], "big") for at in range(0, len(places), 2)])

    with TemporaryDirectory() as seeds:
        for number, seed in enumerate(parser.seeds):
            (Path(seeds) / str(number)).write_bytes(bytes(2 * PLACES) + seed)
        given = [option for option in options if not option.startswith("-")]
        flags = [option for option in options if option.startswith("-")]
        # libFuzzer writes what it finds to the first folder and only reads the others
        sources = given if any(Path(path).is_file() for path in given) else [*given, seeds]
        limits = [f"-max_len={STREAM_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *limits, *flags, *sources], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
