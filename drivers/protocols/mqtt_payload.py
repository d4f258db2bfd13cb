"""The payload of an MQTT message from a reader on a microcontroller: a number as it stands, or a place in JSON.

    ESPHome, on_tag of rdm6300:    7691174                                  plain
    ESPHome, on_tag of pn532:      74-10-37-94                              plain
    Tasmota, RDM6300:              {"Time":"…","RDM6300":{"UID":"001C3A5E"}}   /RDM6300/UID
    Tasmota, PN532:                {"PN532":{"UID":"7410378A","Data":""}}   /PN532/UID

A Tasmota that speaks of something else (its temperature, its Wi-Fi) on the same topic says nothing of a card: that is
no fault. Hyphens, colons and blanks between the bytes of a number are left out.
"""

import json

from drivers.protocols.fault import Fault
from drivers.protocols.gate_json import look_up
from drivers.readings import FaultCause

PLAIN = "plain"
TAG_CHARS_MAX = 256
MQTT_PAYLOAD_MAX = 4 * 1024
_SEPARATORS = str.maketrans("", "", "-: ")


def read_tag(payload: bytes, form: str) -> str | Fault | None:
    """Returns the text of a tag or code, None where the message speaks of something else.

    `form` is `plain`, or a JSON pointer to the text.
    """
    if len(payload) > MQTT_PAYLOAD_MAX:
        return Fault("a message that is too large: no reader says so much")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("a message that is no UTF-8: let the reader send text", FaultCause.SETTINGS)
    return _checked(text) if form == PLAIN else _from_json(text, form)


def bare_number(text: str) -> str:
    """Returns a card's number without what some firmware puts between its bytes."""
    return text.translate(_SEPARATORS)


def _from_json(text: str, pointer: str) -> str | Fault | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Fault(
            'a message that is no JSON: give its topic the form "plain", or a pointer into what it sends',
            FaultCause.SETTINGS,
        )
    found = look_up(value, pointer)
    match found:
        case None:
            return None
        case bool() | float() | list() | dict():
            return Fault(
                f"no text and no whole number at {pointer}: correct the form of the topic", FaultCause.SETTINGS
            )
        case _:
            return _checked(str(found) if not isinstance(found, int) or abs(found) < 10**40 else "")


def _checked(text: str) -> str | Fault:
    bare = text.strip()
    if bare and len(bare) <= TAG_CHARS_MAX and bare.isprintable():
        return bare
    return Fault("a message without a number or text that could be one", FaultCause.CARD)
