"""An earlier sighting is read from the event's bytes under the event's own names; here each is copied by hand."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from edge_agent.domain.record import SightingEvent
from edge_agent.journal import sightings
from sync.contract.chain import Epoch
from sync.contract.event import Entry, Exit, Manual, Refusal, Repeat, encode
from sync.contract.wire import time_text
from tests.edge_agent.domain.world import build_earlier_sighting
from tests.edge_agent.journal.samples import build_void

EPOCH = Epoch("00000000000000e1")
KINDS: tuple[type[SightingEvent], ...] = (Entry, Manual, Exit, Repeat, Refusal)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


def value_strategy(field: structs.FieldInfo) -> st.SearchStrategy[Any]:
    if isinstance(field.type, type) and issubclass(field.type, Enum):
        return st.sampled_from(field.type)
    return {str: st.text(max_size=20), int: st.integers(0, 2**53), bool: st.booleans()}[field.type]


def event_strategy(kind: type[SightingEvent]) -> st.SearchStrategy[SightingEvent]:
    values = {field.name: value_strategy(field) for field in structs.fields(kind)}
    return st.builds(kind, **(values | {"at": TIMES.map(time_text)}))


@given(fact=st.one_of([event_strategy(kind) for kind in KINDS]), voided=st.booleans())
def test_nothing_that_the_rules_ask_for_is_lost_or_renamed(fact: SightingEvent, voided: bool) -> None:
    assert sightings.decode_sighting(EPOCH, 7, voided, encode(fact)) == build_earlier_sighting(
        fact, EPOCH, 7, voided=voided
    )


@pytest.mark.parametrize(
    "payload",
    [
        encode(build_void(1, "u1", EPOCH, 1)),
        b'{"at":"2026-11-23T04:40:00.123Z","boot":"b","clock":"synchronised","kind":"nap","mono_ms":1}',
        b'{"at":"2026-11-23T04:40:00.123","boot":"b","clock":"synchronised","kind":"entry","mono_ms":1}',
        b'{"at":"noon","boot":"b","clock":"synchronised","kind":"entry","mono_ms":1}',
        b'{"boot":"b\xff"}',
        b"",
    ],
    ids=["no sighting", "a later version's kind", "no zone", "no time", "no text", "nothing"],
)
def test_an_undecodable_payload_is_no_sighting(payload: bytes) -> None:
    assert sightings.decode_sighting(EPOCH, 7, False, payload) is None
