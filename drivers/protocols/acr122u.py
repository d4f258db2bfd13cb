"""ACR122U: its lamp and buzzer (ACS, API of the ACR122U 2.04, chapters 6.2 and 6.7).

    FF 00 40 P2 04 T1 T2 N L     P2 bits 0-1: red, green at the end; 2-3: change them; 4-5: as the blinking begins;
                                 6-7: blink. T1, T2: tenths of a second in the first and second state; N times;
                                 L bits 0-1: the buzzer sounds during T1, T2. Answer 90 and the state of the lamps.
    FF 00 52 00 00               no beep of its own when a card comes

The reader does it by itself and ends where P2 says: nothing has to be switched off.
"""

from dataclasses import dataclass

QUIET = bytes.fromhex("FF00520000")
TENTHS_MAX = 255

_CHANGE, _RED, _GREEN = 0b1100, 0b01, 0b10


@dataclass(frozen=True, slots=True)
class Blink:
    """A lamp (`red`, `green`, or both for amber) that blinks `times`; then both are off."""

    red: bool
    green: bool
    on_tenths: int
    off_tenths: int
    times: int
    beep: bool


def encode(blink: Blink) -> bytes:
    lamps = (_RED if blink.red else 0) | (_GREEN if blink.green else 0)
    p2 = _CHANGE | lamps << 4 | lamps << 6
    timing = (blink.on_tenths, blink.off_tenths, blink.times, 1 if blink.beep else 0)
    if not all(0 <= value <= TENTHS_MAX for value in timing):
        raise ValueError("times are tenths of a second from 0 to 255")
    return bytes((0xFF, 0x00, 0x40, p2, 0x04, *timing))


OFF = bytes((0xFF, 0x00, 0x40, _CHANGE, 0x04, 0, 0, 0, 0))


def accepted(response: bytes) -> bool:
    """Tells if the reader took the command: the answer is 90, then the lamps."""
    return len(response) == 2 and response[0] == 0x90
