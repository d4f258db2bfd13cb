"""The readings that devices report. This file is pure: it knows no device."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # NumPy costs 0.1 s, and most kiosks have no camera
    import numpy as np
    from numpy.typing import NDArray


class Technology(StrEnum):
    EM4100 = "em4100"  # 125 kHz, 40 bits: version/customer byte and 32 bits of id
    ISO14443A = "iso14443a"  # 13.56 MHz: 4, 7 or 10 bytes of UID
    UNKNOWN = "unknown"  # a converter that passes on a number and not its origin


class UidNotation(StrEnum):
    """The part of a card's number that a reading holds; values as in the roster's notations."""

    FULL = "full"
    DEC10 = "dec10"
    W26 = "w26"
    W34 = "w34"


class Uid(msgspec.Struct, frozen=True):
    """A card's number in canonical form: technology, bytes in ISO order, bits.

    With a `notation` other than FULL it is partial: `value` holds the low bits that the reader passed on, big-endian,
    and several cards may have them in common.
    """

    technology: Technology
    value: bytes
    bits: int
    notation: UidNotation = UidNotation.FULL

    def __repr__(self) -> str:
        return f"Uid({self.masked})"

    @property
    def partial(self) -> bool:
        return self.notation is not UidNotation.FULL

    @property
    def hex(self) -> str:
        """Returns upper-case hex. Never use it for a log, a page or an error: see `masked`."""
        return self.value.hex().upper()

    @property
    def masked(self) -> str:
        """Returns the part that may be shown: technology, length and the last four digits."""
        return f"{self.technology}/{self.bits} …{self.hex[-4:]}"


IMPOSSIBLE_RUN = "impossible"  # the `clock_run` of rows whose own times cannot be, among others that can


class Authenticity(StrEnum):
    """The ground on which a card is taken for the one that was given out."""

    BARE = ""  # it has shown its number, which any card can be made to show
    COPYABLE = "copyable"  # its number stood in a memory that others can read, and write elsewhere
    PROVEN = "proven"  # it has shown that it has the city's key


class CardRead(msgspec.Struct, frozen=True):
    """A card was seen. A held card is reported twice at most: first with `again` False, then once with True.

    The second report lets the station tell a card that nobody knows from a phantom that noise made.
    """

    reader: str
    uid: Uid
    monotonic_ns: int  # when the last byte of it arrived
    again: bool = False
    authenticity: Authenticity = Authenticity.BARE


@dataclass(frozen=True, slots=True)
class CodeRead:
    """A QR code, a barcode or, with `keypad`, a number and a PIN: `1042#7391`."""

    reader: str
    text: str = field(repr=False)
    monotonic_ns: int = 0
    keypad: bool = False
    authenticity: Authenticity = Authenticity.BARE


@dataclass(frozen=True, slots=True)
class PersonMatched:
    """An outside terminal matched a person by itself and reports the number it knows them by.

    A terminal keeps its matches while the network is away, and sends them later: then `seen_at` is long past.
    """

    reader: str
    number: str
    monotonic_ns: int  # when the report reached us
    method: str = "palm"
    score: int = 0  # ten-thousandths; 0 where the terminal does not say
    seen_at: datetime | None = None  # by the terminal's own clock, aware; None: it has none, so just now
    clock_suspect: bool = False  # that time cannot be right, or is doubted: it vouches for nothing
    terminal: str = ""  # its serial number, where the reader stands for several
    clock_run: str = ""  # names the time in which its clock ran on undisturbed; empty: as it should
    offset_s: int = 0  # how far its clock was ahead of ours when it was measured; 0: right, or not measured


@dataclass(frozen=True, slots=True)
class CardRemoved:
    """The card left the field; not every reader says so."""

    reader: str
    monotonic_ns: int


class FaultCause(StrEnum):
    """The cause of a fault. With another one than LINE somebody stands at the reader."""

    LINE = "line"  # bytes that are no frame: noise, a wrong speed, a cut; perhaps nobody is there
    PHONE = "phone"  # a phone or an emulated card, which shows another number each time
    CARD = "card"  # a card or a code was there and gave no number or text
    SETTINGS = "settings"  # the reader reads, and its settings or its wires make no number of it


@dataclass(frozen=True, slots=True)
class StreamFault:
    """Something that arrived and is no reading: counted, told to the staff and the technician, never an exception that
    loses the frame behind. `what` says what to do, and never holds a number or the bytes.

    With another cause than LINE somebody stands at the reader: the child is told to use a card or to ask the staff.
    """

    reader: str
    what: str
    monotonic_ns: int
    cause: FaultCause = FaultCause.LINE


@dataclass(frozen=True, slots=True, eq=False)
class PalmFrame:
    """One picture of a live camera or of a folder: whether there is a palm in it, and whose, is found out elsewhere.

    Two frames are equal only when they are the same one. The picture is in no repr.
    """

    reader: str
    image: "NDArray[np.uint8]" = field(repr=False)  # (height, width) grey or (height, width, 3) blue, green, red
    monotonic_ns: int  # when it was taken, as near as is known
    nir: bool = False  # near-infrared light and filter: veins may show


Reading = CardRead | CodeRead | PersonMatched  # what says by itself who it is
DeviceEvent = Reading | PalmFrame | CardRemoved | StreamFault
