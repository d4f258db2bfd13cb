"""A mark of the chain's head beside the journal: written after each commit, synced every few seconds.

A mark that is behind the journal is harmless: the power went between the commit and the mark. One that is ahead proves
that the journal has lost rows, since it was written only once they were there. So the journal opens a new epoch and
names the hole, where it would otherwise give the lost numbers to other events.

The file has two slots, used in turn, so that a slot torn by a power cut leaves the other:

    epoch (16 ASCII digits), number (8 bytes), hash (32), CRC-32 of these (4)
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from zlib import crc32

from sync.contract.chain import Epoch, Hash, Head

log = logging.getLogger(__name__)

MARK_SUFFIX = ".mark"
_SLOT = Struct(">16sQ32sI")


@dataclass(frozen=True, slots=True)
class MarkedHead:
    """The head of the chain as the mark has it."""

    epoch: Epoch
    head: Head


class HeadMark:
    """The mark of the journal at `journal`."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + MARK_SUFFIX)
        self._descriptor: int | None = None
        self._slot = 0
        self._synced = True
        self._refused = False

    def read(self) -> MarkedHead | None:
        """Returns the newest mark; None where there is none that can be read."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        slots = [mark for start in (0, _SLOT.size) if (mark := _read_slot(content[start : start + _SLOT.size]))]
        same = [mark for mark in slots if mark.epoch == slots[0].epoch]
        return max(same, key=lambda mark: mark.head.seq, default=None)

    def write(self, epoch: Epoch, head: Head) -> None:
        """Writes the mark, without waiting for the disk. A disk that refuses it is told once: recording goes on."""
        fields = _SLOT.pack(epoch.encode("ascii"), head.seq, head.hash, 0)[:-4]
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, fields + crc32(fields).to_bytes(4, "big"), self._slot * _SLOT.size)
        except OSError as error:
            self._tell(error)
            return
        self._slot = 1 - self._slot
        self._synced, self._refused = False, False

    def begin(self, epoch: Epoch, head: Head) -> None:
        """Writes both slots: the journal was opened, and a mark of an earlier epoch must not outlive that."""
        self.write(epoch, head)
        self.write(epoch, head)

    def sync(self) -> None:
        """Brings the mark to the disk, if it was written since. Any thread may call it."""
        if self._synced or self._descriptor is None:
            return
        self._synced = True
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._tell(error)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _tell(self, error: OSError) -> None:
        if not self._refused:
            log.warning("%s: %s; the journal goes on without its mark", self.path, error)
        self._refused = True


def _read_slot(slot: bytes) -> MarkedHead | None:
    try:
        epoch, seq, row_hash, checksum = _SLOT.unpack(slot)
        text = epoch.decode("ascii")
    except (struct_error, UnicodeDecodeError):
        return None
    if crc32(slot[:-4]) != checksum:
        return None
    return MarkedHead(Epoch(text), Head(seq, Hash(row_hash)))
