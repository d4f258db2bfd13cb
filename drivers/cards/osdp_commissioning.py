"""Gives an OSDP reader its key: draw it, keep it, tell the reader, prove it, and only then call it the reader's key.

The key is on disk before the reader hears it. If power fails in between, the next try finds the file beside the
wanted one (`….new`) and goes on with the same key, whether or not the reader already has it.
"""

import time
from pathlib import Path

import osdp as libosdp

from drivers.base import Monotonic, Transport
from drivers.bench import osdp_key
from drivers.cards.osdp import link as link_to
from drivers.cards.osdp_reports import OsdpSettings
from drivers.errors import DeviceGone, NotSupported, ProtocolError
from drivers.transports.osdp_link import Access, Link

_SCBK = 1
_TURNS, _TURN_S = 20, 0.2


def commission(
    settings: OsdpSettings,
    key_file: Path,
    *,
    clock: Monotonic = time.monotonic_ns,
    transport: Transport | None = None,
) -> None:
    """Sets a new key and writes it to `key_file`, which must not exist. With a `key_file` in the settings that key
    opens the reader; else the reader must be in install mode. Blocks for up to 15 s.

    Raises NotSupported unless `commissioning` is set, DeviceGone while no reader answers, ProtocolError where the
    reader does not take the key.
    """
    if not settings.commissioning:
        raise NotSupported("commissioning: false; set it to true while a key is being set, then back")
    if key_file.exists():
        raise NotSupported(f"{key_file} exists: a reader may have this key, so name a new file")
    old = osdp_key.load(osdp_key.key_path(settings.key_file)) if settings.key_file else None
    new_file = key_file.with_name(key_file.name + ".new")
    resumed = new_file.exists()
    key = osdp_key.load(new_file) if resumed else osdp_key.create(new_file)
    link = link_to(settings, transport, clock=clock)
    if not (resumed and _has(link, settings, key)):
        _tell(link, settings, old, key)
        if not _has(link, settings, key):
            raise ProtocolError(
                f"the reader does not answer to the key it was given, which stays in {new_file}: try again"
            )
    new_file.rename(key_file)
    osdp_key.sync_folder(key_file.parent)


def _tell(link: Link, settings: OsdpSettings, old: bytes | None, key: bytes) -> None:
    # libosdp gives a reader in install mode the key by itself; one that has a key gets it over its secure channel.
    link.open(Access(settings.port, settings.address, old or key, installing=old is None))
    try:
        if old is not None:
            link.submit([{"command": libosdp.Command.Keyset, "type": _SCBK, "data": key}])
        for _ in range(_TURNS):
            link.turn(_TURN_S)
            if link.done or (old is None and link.keyed):
                break
    except DeviceGone:
        pass  # some readers leave the line to begin anew with the key: whether they have it is asked next
    finally:
        link.close()


def _has(link: Link, settings: OsdpSettings, key: bytes) -> bool:
    """Tells if the reader answers to this key. Raises DeviceGone where it does not answer at all."""
    try:
        link.open(Access(settings.port, settings.address, key))
    except NotSupported:
        return False
    finally:
        link.close()
    return True
