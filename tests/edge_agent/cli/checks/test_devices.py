"""What is plugged in, what is configured, and what is missing between the two."""

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.plugins import RefusedPlugin
from edge_agent.cli.checks import devices
from edge_agent.cli.checks.finding import State
from tests.drivers.pcsc_peer import NO_PYSCARD
from tests.edge_agent.cli.checks.given import kiosk, put, states

EM4100 = '[[readers]]\nname = "door"\ndriver = "em4100"\nport = "/dev/serial/by-id/x"\n'
PCSC = '[[readers]]\nname = "desk"\ndriver = "pcsc"\n'
OSDP = '[[readers]]\nname = "door"\ndriver = "osdp"\nport = "/dev/x"\nkey_file = "{}"\n'


def test_a_configured_port_that_is_not_there(tmp_path: Path) -> None:
    [_, found] = devices.attached(kiosk(tmp_path, EM4100))
    assert (found.part, found.state) == ("device door", State.FAILS)
    put(tmp_path, "dev/serial/by-id/x")
    assert states(devices.attached(kiosk(tmp_path, EM4100))) == [State.OK]


def test_an_adapter_without_its_kernel_module(tmp_path: Path) -> None:
    put(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "1a86")
    put(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "7523")
    [found] = devices.attached(kiosk(tmp_path))
    assert (found.state, found.next_step) == (State.LOOK, "modprobe ch341")


@pytest.mark.parametrize(
    ("mode", "ours", "state"),
    [(0o660, True, State.OK), (0o660, False, State.FAILS), (0o600, True, State.FAILS), (0o666, False, State.OK)],
)
def test_a_port_that_the_agents_user_may_not_open(tmp_path: Path, mode: int, ours: bool, state: State) -> None:
    """Whoever asks, root above all, may open it."""
    put(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "1a86")
    put(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "7523")
    (tmp_path / "sys/bus/usb/devices/1-2/1-2:1.0/ttyUSB0").mkdir(parents=True)
    group = put(tmp_path, "dev/ttyUSB0", mode=mode).stat().st_gid
    here = kiosk(tmp_path, EM4100.replace("/dev/serial/by-id/x", "/dev/ttyUSB0"))
    groups = frozenset({group} if ours else ())
    assert states(devices.attached(replace(here, agent_uid=47_110, agent_groups=groups))) == [state]


def test_pcsc_is_looked_at_only_where_there_is_some(tmp_path: Path) -> None:
    assert states(devices.pcsc(kiosk(tmp_path))) == []
    put(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "072f")
    put(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "2200")
    assert set(states(devices.pcsc(kiosk(tmp_path)))) == {State.LOOK}


def test_pcsc_that_is_configured_and_cannot_work(tmp_path: Path) -> None:
    pytest.importorskip("smartcard", reason=NO_PYSCARD)
    found = list(devices.pcsc(kiosk(tmp_path, PCSC)))
    assert set(states(found)) == {State.FAILS}
    assert any("polkit" in each.detail for each in found)
    assert any("pcscd.socket" in each.next_step for each in found)


def test_the_extras_of_what_is_configured(tmp_path: Path) -> None:
    pytest.importorskip("osdp_sys", reason="libosdp is not installed")
    assert states(devices.extras(kiosk(tmp_path, EM4100))) == []
    assert states(devices.extras(kiosk(tmp_path, OSDP.format("osdp-key")))) == [State.OK]


def test_a_readers_key_is_looked_for_and_never_shown(tmp_path: Path) -> None:
    pytest.importorskip("osdp_sys", reason="libosdp is not installed")
    key = "000102030405060708090A0B0C0D0E0F"
    for name in ("osdp-key", f"{tmp_path}/etc/credstore/edge-agent.osdp-key"):
        here = kiosk(tmp_path, OSDP.format(name) + "commissioning = true\n")
        path = tmp_path / "etc/credstore/edge-agent.osdp-key"
        path.unlink(missing_ok=True)
        assert states(devices.osdp_keys(here)) == [State.LOOK, State.FAILS]
        put(tmp_path, "etc/credstore/edge-agent.osdp-key", key, 0o644)
        assert states(devices.osdp_keys(here)) == [State.LOOK, State.FAILS], "everybody can read it"
        path.chmod(0o600)
        found = list(devices.osdp_keys(here))
        assert states(found) == [State.LOOK, State.OK]
        assert not any(key in each.detail + each.next_step for each in found)


def test_a_plugin_that_is_not_taken(tmp_path: Path) -> None:
    here = kiosk(tmp_path)
    refused = RefusedPlugin("acme", "acme-cards", "not allowed: if you trust it, set drivers.allowed")
    [found] = devices.plugins(replace(here, loaded=replace(here.loaded, refused_plugins=(refused,))))
    assert (found.state, found.detail) == (State.LOOK, "acme: not allowed")
