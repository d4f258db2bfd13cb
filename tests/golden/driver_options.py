"""`python -m tests.golden.driver_options`: the keys of every driver, of those too whose extra is not installed here.

Their modules only import the extra's library; a stand-in is enough to read the keys.
"""

import sys
from importlib.util import find_spec
from unittest.mock import MagicMock

from tests.golden.shapes import of_type

LIBRARIES = ("smartcard", "gpiod", "osdp")


def main() -> None:
    for library in LIBRARIES:
        if find_spec(library) is None:
            sys.modules[library] = MagicMock()
    from tests.golden import adapter

    for name, (kind, extra, options) in sorted(adapter.drivers().items()):
        sys.stdout.write(f"== {name} ({kind}{', extra ' + extra if extra else ''})\n{of_type(options)}\n\n")


if __name__ == "__main__":
    main()
