"""Device events as JSON objects, for people who look: `devices watch`, `replay` and `decode`."""

from typing import assert_never

from drivers.readings import (
    Authenticity,
    CardRead,
    CardRemoved,
    CodeRead,
    DeviceEvent,
    PalmFrame,
    PersonMatched,
    StreamFault,
)


def describe_event(event: DeviceEvent) -> dict[str, object]:
    """Returns the event as a JSON object, with whole card numbers; of a palm frame only its size."""
    match event:
        case CardRead(uid=uid, again=again, authenticity=authenticity):
            said: dict[str, object] = {
                "event": "read",
                "uid": uid.hex,
                "bits": uid.bits,
                "tech": uid.technology.value,
                "partial": uid.partial,
                "again": again,
            }
            return said | _authenticity(authenticity)
        case CodeRead(text=text, authenticity=authenticity):
            return {"event": "code", "text": text} | _authenticity(authenticity)
        case PersonMatched(number=number, method=method, score=score):
            return {"event": "match", "number": number, "method": method, "score": score}
        case PalmFrame(image=image, nir=nir):
            return {"event": "frame", "height": image.shape[0], "width": image.shape[1], "nir": nir}
        case CardRemoved():
            return {"event": "removed"}
        case StreamFault(what=what, cause=cause):
            return {"event": "fault", "what": what, "cause": cause.value}
        case _:
            assert_never(event)


def _authenticity(authenticity: Authenticity) -> dict[str, object]:
    """Returns what a card has shown beyond its number; nothing for the number alone."""
    return {"authenticity": authenticity.value} if authenticity else {}
