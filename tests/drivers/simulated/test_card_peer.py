import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.base import Reader
from drivers.errors import DeviceGone
from drivers.readings import CardRead, CardRemoved, DeviceEvent, StreamFault
from drivers.simulated.card_peer import CardPeer, ReaderModel, frame
from tests.drivers.building import build_reader
from tests.vectors import load_reader

CARD = bytes.fromhex("1F00644BB6")
TRIES = 200


@pytest.fixture(params=ReaderModel)
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CardPeer]:
    with CardPeer(tmp_path / "reader", request.param) as peer:
        yield peer


@pytest.fixture
def reader(peer: CardPeer) -> Iterator[Reader]:
    reader = build_reader(peer.model.driver, "left", {"port": str(peer.port)})
    reader.open()
    yield reader
    reader.close()


def read_until(reader: Reader, count: int) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    for _ in range(TRIES):
        events += reader.read(0.1)
        if len(events) >= count:
            return events
    pytest.fail(f"only {len(events)} of {count} events came")


def test_the_published_frames_are_what_it_sends() -> None:
    for vector in load_reader("em4100_serial")["vectors"]:
        assert frame(ReaderModel.RDM6300, bytes.fromhex(vector["expected_uid_hex"])).hex() == vector["frame_hex"]
    for vector in load_reader("ironlogic_text")["vectors"]:
        sent = frame(ReaderModel.IRONLOGIC, bytes.fromhex(vector["expected_uid_hex"])).decode()
        if vector["kind"] == "em-marine":
            assert sent.strip() == vector["line"]
        else:
            assert sent.split()[0] == vector["line"].split()[0]
            assert sent.split()[-1] == vector["line"].split()[-1]


def test_a_held_card_is_two_reports_and_a_phantom_one(peer: CardPeer, reader: Reader) -> None:
    peer.present(CARD, frames=10)
    first, again = read_until(reader, 2)
    assert isinstance(first, CardRead)
    assert isinstance(again, CardRead)
    assert (first.again, again.again) == (False, True)
    assert first.uid.value == again.uid.value == CARD
    peer.remove()
    peer.phantom()
    peer.noise()
    if peer.model is ReaderModel.IRONLOGIC:
        [removed] = read_until(reader, 1)
        assert isinstance(removed, CardRemoved)
        return
    phantom, noise = read_until(reader, 2)
    assert isinstance(phantom, CardRead)
    assert not phantom.again
    assert isinstance(noise, StreamFault)


def test_the_name_goes_with_the_cable_and_comes_back(peer: CardPeer) -> None:
    assert peer.port.is_symlink()
    peer.unplug()
    peer.unplug()
    assert not peer.port.is_symlink()
    with pytest.raises(DeviceGone, match="replug"):
        peer.present(CARD)
    peer.replug()
    assert os.path.exists(peer.port)  # noqa: PTH110  the link and what it leads to
    peer.present(CARD)


def test_what_nobody_reads_is_lost_and_blocks_nobody(peer: CardPeer) -> None:
    sent = [peer.send(b"x" * 4096) for _ in range(100)]
    assert sent[-1] == 0


def test_a_name_left_behind_by_a_killed_peer_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "reader").symlink_to("/dev/pts/99999")
    with CardPeer(tmp_path / "reader") as peer:
        assert peer.port.resolve().is_char_device()


def test_a_folder_that_is_not_there_is_told_and_leaks_nothing(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DeviceGone):
        CardPeer(tmp_path / "missing" / "reader")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
