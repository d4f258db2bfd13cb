"""KeyPresses of a reader's keypad, put together to a child's number and PIN: `1042 # 7391 #` is the code `1042#7391`.

    digits #     the number that the school gave the child
    digits #     the PIN, or the six digits that an authenticator shows
    *            clears what was typed

Silence ends an entry that has both parts, since not every child presses the last `#`; anything less is a fault, and so
a number alone identifies nobody. Kept: one entry.

    Wiegand, 4 bits    0000 to 1001 are the digits, 1010 is *, 1011 is #
    Wiegand, 8 bits    the same behind its complement: 1110 0001 is 1
    OSDP               ASCII digits, 7F is *, 0D is #
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from drivers.protocols.fault import Fault
from drivers.protocols.line import Code
from drivers.readings import FaultCause

KEYPAD_GAP_MS = 10_000  # a child looks at the paper between two keys
ENTRY_MAX = 32  # keys
_KEYS = "0123456789*#"
_OSDP_KEYS = {ord(digit): digit for digit in "0123456789"} | {0x7F: "*", 0x0D: "#", ord("*"): "*", ord("#"): "#"}


@dataclass(frozen=True, slots=True)
class KeyPresses:
    """KeyPresses that were pressed: digits, `*` and `#`."""

    pressed: str = field(repr=False)


def wiegand_keys(bits: str, size: int) -> KeyPresses | Fault:
    """Returns the keys in bits written as 0 and 1, `size` (4 or 8) for each."""
    parts = [bits[start : start + size] for start in range(0, len(bits), size)]
    values = [int(part[-4:], 2) for part in parts]
    whole = all(len(part) == size and (size == 4 or int(part[:4], 2) == 15 - int(part[4:], 2)) for part in parts)
    if not whole or any(value >= len(_KEYS) for value in values):
        return Fault("bits that are no key: check keypad_bits of this reader", FaultCause.SETTINGS)
    return KeyPresses("".join(_KEYS[value] for value in values))


def encode_wiegand_key(key: str, size: int) -> str:
    """Returns the 4 or 8 bits of one key, written as 0 and 1. Raises ValueError for a key that no keypad has."""
    value = _KEYS.index(key)
    return f"{value:04b}" if size == 4 else f"{15 - value:04b}{value:04b}"


def osdp_keys(data: bytes) -> KeyPresses | Fault:
    """Returns the keys in a report of an OSDP reader: those that no number has (functions, arrows) are passed over."""
    return KeyPresses("".join(_OSDP_KEYS.get(byte, "") for byte in data))


class Keypad:
    """Turns keys, each with its time, into codes and faults. Times are monotonic, in ns."""

    def __init__(self, gap_ms: int = KEYPAD_GAP_MS) -> None:
        self._gap_ns = gap_ms * 1_000_000
        self._typed = ""
        self._last_ns = 0

    def press(self, keys: KeyPresses, now_ns: int) -> Iterator[Code | Fault]:
        yield from self.wait(now_ns)
        self._last_ns = now_ns
        for key in keys.pressed:
            yield from self._press(key)

    def wait(self, now_ns: int) -> Iterator[Code | Fault]:
        """Ends the entry where the keys have been silent long enough."""
        if self._typed and now_ns - self._last_ns > self._gap_ns:
            yield from self._end("typing at the keypad stopped: number, #, PIN, #")

    def clear(self) -> None:
        """Forgets what was typed."""
        self._typed = ""

    def _press(self, key: str) -> Iterator[Code | Fault]:
        match key:
            case "*":
                self.clear()
            case "#" if "#" in self._typed:
                yield from self._end("a number without its PIN: number, #, PIN, #")
            case _:
                self._typed += key if self._typed or key != "#" else ""
                if len(self._typed) > ENTRY_MAX:
                    self.clear()
                    yield Fault("too many keys for a number and its PIN", FaultCause.CARD)

    def _end(self, missing: str) -> Iterator[Code | Fault]:
        typed, self._typed = self._typed, ""
        number, _, pin = typed.partition("#")
        yield Code(typed, keypad=True) if number and pin else Fault(missing, FaultCause.CARD)
