"""`devices list` and `devices probe`: the drivers, the configured devices, and the attached ones."""

from collections.abc import Iterator

import msgspec

from drivers.bench import discovery, discovery_input
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, JsonOption, out, print_json, print_table
from edge_agent.cli.refusal_words import describe_refusal
from edge_agent.control import ask
from edge_agent.control_api import NO_ARGUMENTS, STATUS, DoubtedClockStatus, RefusalStatus
from edge_agent.errors import AgentNotRunning
from edge_agent.settings.reading import load_settings, parse_settings
from edge_agent.settings.tables import Settings


def list_drivers(config: ConfigOption = CONFIG_DEFAULT, as_json: JsonOption = False) -> None:
    """Show every driver, also of other packages, and the configured readers and lights: are they present?"""
    loaded = load_settings(config) if config.exists() else parse_settings("", config)
    rows = [
        {"driver": name, "kind": entry.kind.value, "for": entry.what, "extra": entry.extra, "from": entry.distribution}
        for name, entry in sorted(loaded.drivers.items())
    ]
    configured = list(_configured_devices(loaded.settings))
    if as_json:
        refused = [
            {"name": plugin.name, "distribution": plugin.distribution, "why": plugin.why}
            for plugin in loaded.refused_plugins
        ]
        print_json({"drivers": rows, "configured": configured, "refused": refused})
        return
    print_table(("driver", "kind", "for", "needs", "from"), (tuple(row.values()) for row in rows))
    out.print()
    print_table(
        ("configured", "driver", "present", "why not", "readings", "faults", "unread"),
        ([value for key, value in row.items() if key not in ("refusal", "doubted_clocks")] for row in configured),
        title=None if configured else f"nothing is configured in {config}",
    )
    for row in configured:
        for clock in msgspec.convert(row.get("doubted_clocks", ()), tuple[DoubtedClockStatus, ...]):
            out.print(f"{row['name']}: the clock of {clock.terminal} is doubted: {clock.why}", markup=False)
        if row.get("refusal") is not None:
            refusal = msgspec.convert(row["refusal"], RefusalStatus)
            line = f"{row['name']} {describe_refusal(refusal, loaded.settings.zone)}"
            out.print(line, markup=False, soft_wrap=True)
    for row in configured:
        if row.get("unread"):
            name = row["name"]
            line = f"{name}: {row['unread']} requests were not understood: edge-agent devices unread {name}"
            out.print(line, markup=False, soft_wrap=True)
    if loaded.refused_plugins:
        out.print()
        print_table(
            ("not used", "from", "why"),
            ((plugin.name, plugin.distribution, plugin.why) for plugin in loaded.refused_plugins),
        )


def _configured_devices(loaded: Settings) -> Iterator[dict[str, object]]:
    try:
        (status,) = ask(loaded.kiosk.run_dir, STATUS, NO_ARGUMENTS)
    except AgentNotRunning:
        for device in (*loaded.readers, *loaded.indicators):
            why = device.fault or "the agent is not running"
            yield {"name": device.name, "driver": device.driver, "there": "?", "why": why}
        return
    yield from (msgspec.to_builtins(device) for device in (*status.readers, *status.indicators))


def probe(as_json: JsonOption = False) -> None:
    """Show what is plugged in, the drivers that fit, and the steps until it works."""
    attached = (*discovery.probe(), *discovery_input.probe())
    if as_json:
        print_json(
            [
                {
                    "what": device.what,
                    "usb_id": device.usb_id,
                    "port": device.port,
                    "drivers": device.drivers,
                    "missing": [str(obstacle) for obstacle in device.missing],
                }
                for device in attached
            ]
        )
    elif attached:
        print_table(
            ("port", "device", "usb", "drivers", "to do"),
            (
                (
                    device.port,
                    device.what,
                    device.usb_id,
                    " or ".join(device.drivers) or "none",
                    "; ".join(map(str, device.missing)) or "nothing",
                )
                for device in attached
            ),
        )
    else:
        out.print("nothing that could be a reader is plugged in; is the cable in, and the adapter's light on?")
