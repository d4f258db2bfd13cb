"""`devices off`: every relay and pin of the settings, switched off."""

import typer

from drivers import registry
from drivers.errors import DeviceError
from edge_agent.cli.devices.options import require_stopped_daemon
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, out
from edge_agent.errors import ExitCode
from edge_agent.settings.reading import load_settings


def switch_off(config: ConfigOption = CONFIG_DEFAULT) -> None:
    """Switch every relay and pin of the settings off, as the daemon does at its start. Stop the daemon first."""
    require_stopped_daemon(config)
    loaded = load_settings(config)
    failures = 0
    for device in loaded.settings.indicators:
        if device.fault:
            failures += 1
            out.print(f"{device.name}: {device.fault}", markup=False, soft_wrap=True)
            continue
        if not registry.entry(device.driver, loaded.drivers).switches:
            continue
        indicator = registry.indicator_class(device.driver, loaded.drivers)(device.name, device.options)
        try:
            indicator.open()
        except DeviceError as error:
            failures += 1
            result = str(error)
        else:
            indicator.close()
            result = "off"
        out.print(f"{device.name}: {result}", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(ExitCode.DEVICE)
