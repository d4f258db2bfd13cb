"""An LCUS board at the end of a pseudo-terminal: what was switched, in order, and what is on now."""

import os
import select
import tty
from pathlib import Path

from drivers.protocols.lcus import Decoder, Switched

WAIT_S = 20.0


class RelayBoard:
    def __init__(self, port: Path) -> None:
        self.port = port
        self._decoder = Decoder()
        self._master = -1
        self.switched: list[Switched] = []
        self.replug()

    @property
    def on(self) -> set[int]:
        """The relays that are on after everything that was said."""
        self._listen()
        state = {event.relay: event.on for event in self.switched}
        return {relay for relay, on in state.items() if on}

    def _listen(self) -> None:
        while self._master >= 0 and select.select([self._master], (), (), 0)[0]:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # nobody has the other end open
                return
            for event in self._decoder.feed(data):
                assert isinstance(event, Switched), "only whole frames are sent"
                self.switched.append(event)

    def wait_for(self, relay: int, *, on: bool = True) -> None:
        """Until this relay is on, or off."""
        while (relay in self.on) is not on:
            assert select.select([self._master], (), (), WAIT_S)[0], "nothing is switched"

    def unplug(self) -> None:
        if self._master >= 0:
            self.port.unlink(missing_ok=True)
            os.close(self._master)
        self._master = -1

    def replug(self) -> None:
        self.unplug()
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)
