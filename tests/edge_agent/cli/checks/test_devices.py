"""Checks of devices: plugged in, configured, and the obstacles between the two."""

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.obstacle import Obstacle
from drivers.plugins import RefusedPlugin
from edge_agent.cli.checks import devices
from edge_agent.cli.checks.finding import FindingState
from tests.drivers.pcsc_peer import NO_PYSCARD
from tests.edge_agent.cli.checks.kiosk import kiosk, states, write_file

EM4100 = '[[readers]]\nname = "door"\ndriver = "em4100"\nport = "/dev/serial/by-id/x"\n'
PCSC = '[[readers]]\nname = "desk"\ndriver = "pcsc"\n'
OSDP = '[[readers]]\nname = "door"\ndriver = "osdp"\nport = "/dev/x"\nkey_file = "{}"\n'


def test_a_configured_port_that_is_not_there(tmp_path: Path) -> None:
    [_, finding] = devices.check_attached(kiosk(tmp_path, EM4100))
    assert (finding.part, finding.state) == ("device door", FindingState.FAILURE)
    write_file(tmp_path, "dev/serial/by-id/x")
    assert states(devices.check_attached(kiosk(tmp_path, EM4100))) == [FindingState.GOOD]


def test_an_adapter_without_its_kernel_module(tmp_path: Path) -> None:
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "1a86")
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "7523")
    [finding] = devices.check_attached(kiosk(tmp_path))
    assert (finding.state, finding.next_step) == (FindingState.ATTENTION, "modprobe ch341")


@pytest.mark.parametrize(
    ("mode", "ours", "state"),
    [
        (0o660, True, FindingState.GOOD),
        (0o660, False, FindingState.FAILURE),
        (0o600, True, FindingState.FAILURE),
        (0o666, False, FindingState.GOOD),
    ],
)
def test_a_port_that_the_agents_user_may_not_open(tmp_path: Path, mode: int, ours: bool, state: FindingState) -> None:
    """The user of this test, root above all, may open the port; the agent's user counts."""
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "1a86")
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "7523")
    (tmp_path / "sys/bus/usb/devices/1-2/1-2:1.0/ttyUSB0").mkdir(parents=True)
    group = write_file(tmp_path, "dev/ttyUSB0", mode=mode).stat().st_gid
    examined = kiosk(tmp_path, EM4100.replace("/dev/serial/by-id/x", "/dev/ttyUSB0"))
    groups = frozenset({group} if ours else ())
    assert states(devices.check_attached(replace(examined, agent_uid=47_110, agent_groups=groups))) == [state]


def test_pcsc_is_looked_at_only_where_there_is_some(tmp_path: Path) -> None:
    assert states(devices.check_pcsc(kiosk(tmp_path))) == []
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idVendor", "072f")
    write_file(tmp_path, "sys/bus/usb/devices/1-2/idProduct", "2200")
    assert set(states(devices.check_pcsc(kiosk(tmp_path)))) == {FindingState.ATTENTION}


def test_pcsc_that_is_configured_and_cannot_work(tmp_path: Path) -> None:
    pytest.importorskip("smartcard", reason=NO_PYSCARD)
    findings = list(devices.check_pcsc(kiosk(tmp_path, PCSC)))
    assert set(states(findings)) == {FindingState.FAILURE}
    assert any("polkit" in finding.detail for finding in findings)
    assert any("pcscd.socket" in finding.next_step for finding in findings)


def test_the_extras_of_what_is_configured(tmp_path: Path) -> None:
    pytest.importorskip("osdp_sys", reason="libosdp is not installed")
    assert states(devices.check_extras(kiosk(tmp_path, EM4100))) == []
    assert states(devices.check_extras(kiosk(tmp_path, OSDP.format("osdp-key")))) == [FindingState.GOOD]


def test_a_readers_key_is_looked_for_and_never_shown(tmp_path: Path) -> None:
    pytest.importorskip("osdp_sys", reason="libosdp is not installed")
    key = "000102030405060708090A0B0C0D0E0F"
    for name in ("osdp-key", f"{tmp_path}/etc/credstore/edge-agent.osdp-key"):
        examined = kiosk(tmp_path, OSDP.format(name) + "commissioning = true\n")
        path = tmp_path / "etc/credstore/edge-agent.osdp-key"
        path.unlink(missing_ok=True)
        assert states(devices.check_osdp_keys(examined)) == [FindingState.ATTENTION, FindingState.FAILURE]
        write_file(tmp_path, "etc/credstore/edge-agent.osdp-key", key, 0o644)
        assert states(devices.check_osdp_keys(examined)) == [FindingState.ATTENTION, FindingState.FAILURE], (
            "everybody can read it"
        )
        path.chmod(0o600)
        findings = list(devices.check_osdp_keys(examined))
        assert states(findings) == [FindingState.ATTENTION, FindingState.GOOD]
        assert not any(key in finding.detail + finding.next_step for finding in findings)


def test_a_plugin_that_is_not_taken(tmp_path: Path) -> None:
    examined = kiosk(tmp_path)
    refused = RefusedPlugin("acme", "acme-cards", Obstacle("not allowed", "if you trust it, set drivers.allowed"))
    [finding] = devices.check_plugins(replace(examined, loaded=replace(examined.loaded, refused_plugins=(refused,))))
    assert (finding.state, finding.detail) == (FindingState.ATTENTION, "acme: not allowed")
