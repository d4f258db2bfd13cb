"""A driver that fails in any way makes its own device absent, and says nothing of what it held."""

from collections.abc import Sequence

import pytest

from drivers.errors import DeviceGone, NotSupported, ProtocolError
from drivers.readings import DeviceEvent
from edge_agent.runtime.guarded import GuardedReader


class FailingReader:
    """A reader of another package that raises what no contract allows."""

    def open(self) -> None:
        pass

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        raise KeyError("04A3C6CA")

    def close(self) -> None:
        raise RuntimeError("again")


class PulledReader(FailingReader):
    """A reader that is away, as the contract says it."""

    def read(self, timeout_s: float) -> Sequence[DeviceEvent]:
        raise DeviceGone("pulled")


def fail_to_build() -> FailingReader:
    raise TypeError("no")


def test_what_a_driver_raises_becomes_a_device_error_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    reader = GuardedReader("door", FailingReader)
    reader.open()
    with pytest.raises(
        ProtocolError, match=r"its driver failed \(KeyError at test_guarded.py:\d+\): update it"
    ) as caught:
        reader.read(0)
    assert "04A3" not in str(caught.value)
    reader.close()
    assert "closing failed" in caplog.text


def test_a_driver_that_cannot_be_made_is_tried_at_each_open() -> None:
    reader = GuardedReader("door", fail_to_build)
    reader.close()
    for _ in range(2):
        with pytest.raises(ProtocolError, match="TypeError"):
            reader.open()


def test_errors_of_the_contract_pass_as_they_are() -> None:
    reader = GuardedReader("door", PulledReader)
    reader.open()
    with pytest.raises(DeviceGone, match="pulled"):
        reader.read(0)


def test_a_device_that_the_settings_make_unusable_is_never_built() -> None:
    with pytest.raises(NotSupported, match="found nothing"):
        GuardedReader("door", fail_to_build, "readers[0].port: found nothing").open()
