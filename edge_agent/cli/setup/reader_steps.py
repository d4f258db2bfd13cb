"""The first two steps of the setup: readers into the settings file, and the number of one card."""

from pathlib import Path

from drivers.bench import calibration, discovery, discovery_input
from drivers.bench.discovery import Attached
from drivers.errors import NotSupported
from edge_agent import settings_file
from edge_agent.cli.devices.calibrate import find_encoding
from edge_agent.cli.devices.options import find_reader, require_stopped_daemon
from edge_agent.cli.phrases import phrase
from edge_agent.cli.setup.answers import ReaderAnswer, SetupAnswers
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.errors import RequestRefused
from edge_agent.settings.reading import load_settings
from edge_agent.settings.tables import DeviceSettings, KioskSettings

CARD_S = 30.0


def write_settings(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Puts the kiosk's name and its readers into the settings file; a file that has readers stays as it is."""
    if config.exists() and (configured := load_settings(config).settings.readers):
        names = ", ".join(reader.name for reader in configured)
        dialogue.tell(phrase("Done already: {path} has the readers {names}", path=config, names=names))
        return
    defaults = KioskSettings()
    kiosk = {
        "name": dialogue.ask(phrase("The kiosk's name, as the staff call it"), answers.name, defaults.name),
        "timezone": dialogue.ask(phrase("Its time zone"), answers.timezone, defaults.timezone),
        "language": dialogue.language,
    } | ({"school": answers.school} if answers.school else {})
    ledger = {"ca_file": str(answers.ledger.ca_file)} if answers.ledger and answers.ledger.ca_file else {}
    readers = answers.readers or _ask_readers(dialogue)
    if not readers:
        raise RequestRefused(
            phrase("no reader was found or named"),
            phrase("plug one in, see edge-agent devices probe, and run this again"),
        )
    config.parent.mkdir(parents=True, exist_ok=True)
    settings_file.add_tables(config, {"kiosk": kiosk, "ledger": ledger}, [_build_table(reader) for reader in readers])
    dialogue.tell(phrase("{path} is written, with {count} readers", path=config, count=len(readers)))


def _build_table(reader: ReaderAnswer) -> dict[str, str]:
    port_key = "source" if reader.driver == "camera" else "port"
    table = {"name": reader.name, "driver": reader.driver, port_key: reader.port, "direction": reader.direction}
    return {key: value for key, value in table.items() if value and (key, value) != ("direction", "both")}


def _ask_readers(dialogue: Dialogue) -> tuple[ReaderAnswer, ...]:
    """Returns the attached devices that the person takes, with the driver of each."""
    if not dialogue.is_asking:
        return ()
    taken: list[ReaderAnswer] = []
    for device in (*discovery.probe(), *discovery_input.probe()):
        dialogue.tell(phrase("Found: {device} {port}", device=device.what, port=device.port))
        for obstacle in device.missing:
            dialogue.tell(phrase("{reason}; do this: {step}", reason=obstacle.reason, step=obstacle.next_step))
        if device.drivers and dialogue.confirm(phrase("Is this a reader for the children?")):
            taken.append(_ask_reader(device, len(taken) + 1, dialogue))
    return tuple(taken)


def _ask_reader(device: Attached, number: int, dialogue: Dialogue) -> ReaderAnswer:
    driver = device.drivers[0]
    if len(device.drivers) > 1:
        driver = dialogue.choose(phrase("Its driver (its page under docs/drivers names the reader)"), device.drivers)
    name = dialogue.ask(
        phrase("A short name for it, in Latin letters"), "", "door" if number == 1 else f"door-{number}"
    )
    return ReaderAnswer(name=name, driver=driver, port=device.port)


def calibrate_readers(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Finds for each reader of cards how it writes numbers, from one card whose number is known."""
    loaded = load_settings(config)
    known_cards = {reader.name: reader.card for reader in answers.readers}
    for index, reader in enumerate(loaded.settings.readers):
        if f"readers[{index}].{calibration.SETTING}" in loaded.file_keys:
            dialogue.tell(
                phrase("Done already: {reader} has its {setting}", reader=reader.name, setting=calibration.SETTING)
            )
        elif not _has_choice(reader):
            dialogue.tell(phrase("{reader}: its numbers need no setting", reader=reader.name))
        else:
            question = phrase("{reader}: the number printed on a card (empty: later)", reader=reader.name)
            number = dialogue.ask(question, known_cards.get(reader.name, ""))
            if number:
                _calibrate_reader(config, reader.name, number, dialogue)


def _has_choice(reader: DeviceSettings) -> bool:
    try:
        calibration.choice(reader.options)
    except NotSupported:
        return False
    return not reader.fault


def _calibrate_reader(config: Path, name: str, number: str, dialogue: Dialogue) -> None:
    require_stopped_daemon(config)
    dialogue.tell(phrase("Hold that card to {reader} for up to {seconds} s", reader=name, seconds=int(CARD_S)))
    loaded = load_settings(config)
    outcome = find_encoding(loaded, find_reader(config, name), number, CARD_S, dialogue.tell)
    if not isinstance(outcome, calibration.Fits):
        raise RequestRefused(outcome.what_next)
    encoding = outcome.candidate.encoding.value
    settings_file.set_reader_key(config, name, calibration.SETTING, encoding)
    dialogue.tell(
        phrase("{reader}: {setting} = {encoding}", reader=name, setting=calibration.SETTING, encoding=encoding)
    )
