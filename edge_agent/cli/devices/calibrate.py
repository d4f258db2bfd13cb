"""`devices calibrate`: the setting under which a reader gives the number that stands on a card."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, assert_never

import typer

from drivers import registry
from drivers.bench import calibration, line_signs, one_card
from drivers.bench.differences import describe_difference, describe_number
from drivers.readings import Uid
from edge_agent import settings_file
from edge_agent.cli.devices.options import DeviceArgument, SecondsOption, find_reader
from edge_agent.cli.options import CONFIG_DEFAULT, ConfigOption, out
from edge_agent.cli.phrases import phrase
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import LoadedSettings, load_settings
from edge_agent.settings.tables import DeviceSettings


def calibrate(
    device: DeviceArgument,
    known: Annotated[str, typer.Argument(help="The number on the card: 0006572982, 100,19382, hex.")],
    seconds: SecondsOption = 20.0,
    write: Annotated[bool, typer.Option("--write", help="Put the setting into the file.")] = False,
    config: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Find a reader's uid_encoding from one card with a known number. Stop the daemon first."""
    loaded = load_settings(config)
    chosen = find_reader(config, device)
    out.print("Hold the card to the reader.")
    outcome = find_encoding(loaded, chosen, known, seconds, partial(out.print, markup=False, soft_wrap=True))
    match outcome:
        case calibration.Fits(candidate=candidate):
            line = f'{calibration.SETTING} = "{candidate.encoding.value}"'
            out.print(f"{candidate.how}: {line}", markup=False)
            if candidate.partial:
                out.print("The reader passes on a part of the number; several cards may have it in common.")
            if write:
                settings_file.set_reader_key(config, chosen.name, calibration.SETTING, candidate.encoding.value)
                out.print(f"written to {config}; restart the daemon", markup=False)
        case calibration.SeveralFit(candidates=candidates, what_next=what_next):
            for candidate in candidates:
                part = ", and the reader passes on a part of it" if candidate.partial else ""
                out.print(f"{candidate.encoding.value}: {candidate.how}{part}", markup=False)
            raise RequestRefused(what_next)
        case calibration.NoneFits(what_next=what_next):
            raise RequestRefused(what_next)
        case _:
            assert_never(outcome)


def find_encoding(
    loaded: LoadedSettings, chosen: DeviceSettings, known: str, seconds: float, tell: Callable[[str], object]
) -> calibration.Outcome:
    """Returns what one card with a known number says of the reader's setting; `tell` gets what was read.

    Raises RequestRefused where no card was read, NotSupported, and what the driver's `open` raises.
    """
    current, encodings = calibration.choice(chosen.options)
    driver = registry.reader_class(chosen.driver, loaded.drivers)
    match one_card.read_card(driver, chosen.options, seconds):
        case Uid() as uid:
            tell(phrase("read: {number}", number=describe_number(uid)))
            outcome = calibration.calibrate(known, uid, current, encodings)
            difference = describe_difference(known, uid)
            if isinstance(outcome, calibration.NoneFits) and difference:
                return calibration.NoneFits(f"no setting of this reader gives that number: {difference}")
            return outcome
        case one_card.NoCardReading(sent=sent, why=why):
            readings = one_card.read_under_encodings(driver, chosen.options, encodings, sent)
            if not readings:
                raise _explain_no_card(loaded, chosen, sent, why, seconds)
            for encoding, uid in readings.items():
                tell(phrase("read as {encoding}: {number}", encoding=encoding.value, number=describe_number(uid)))
            return calibration.calibrate_from(known, readings, current)


def _explain_no_card(
    loaded: LoadedSettings, chosen: DeviceSettings, sent: Sequence[bytes], why: str, seconds: float
) -> RequestRefused:
    """Returns why no card was read: what the bytes say of the line, or that nothing came."""
    if not why:
        return RequestRefused(
            phrase("no card within {seconds} s", seconds=int(seconds)),
            phrase("does the reader blink when the card comes near?"),
        )
    signs = line_signs.LineSigns(registry.entry(chosen.driver, loaded.drivers).protocol)
    signs.hear(b"".join(sent))
    is_judged = signs.protocol in line_signs.PROTOCOLS
    return RequestRefused(
        phrase("the reader sent something that is no card: {why}", why=(signs.judge() if is_judged else "") or why)
    )
