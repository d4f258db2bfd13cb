"""For each rule of the catalogue a ledger that breaks it, as small as the difference can be made."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sync.contract import batch
from sync.contract.chain import genesis
from sync.contract.wire import ProblemType
from tests.sync.ledger.checking.wrong_ledger import (
    AskedRequest,
    Json,
    LedgerMutant,
    RawAnswer,
    answer_instead,
    drop,
    edit,
    put,
    says,
)

_BATCH, _CURSOR, _BEAT, _KEYS = "POST batches", "GET cursor", "POST heartbeats", "POST keys"
_IDENTITY = {"device": "k-0", "school": "s", "server_key": "00" * 32, "time": "2026-11-20T04:40:00.000Z"}
_NO_EPOCH = {"time": "2026-11-20T04:40:00.000Z"}


def _is_clock(_: AskedRequest, answer: RawAnswer) -> bool:
    return ProblemType.CLOCK.encode() in answer.body


def _is_unsigned(asked: AskedRequest, _: RawAnswer) -> bool:
    return "signature" not in asked.headers


def _is_old(asked: AskedRequest, _: RawAnswer) -> bool:
    created = re.search(r"created=(\d+)", asked.headers["signature-input"])
    return created is not None and int(created[1]) < time.time() - 3600


def _strip(asked: AskedRequest, answer: RawAnswer, *, ok: bool, clock: bool) -> RawAnswer:
    """Takes the signature off answers, off refusals, or off those for a wrong clock."""
    kind = (answer.status < 400, _is_clock(asked, answer))
    return answer.unsigned() if kind == (ok, clock) else answer


def _bind_elsewhere(sign: Any) -> object:
    return lambda answer, request, *rest: sign(
        answer, replace(request, path="/v1/elsewhere") if answer.status == 200 else request, *rest
    )


def _shallow(decode: Any) -> object:
    def decoded(body: bytes) -> batch.Batch:
        if b"[" * 1_000 in body:
            raise batch.MalformedBatch("too deep")
        found: batch.Batch = decode(body)
        return found

    return decoded


def _signer_alone(_: Any) -> object:
    def find(__: object, arrival: Any, parent: bytes) -> object:
        signer = arrival.signature.public_key
        return signer, genesis(arrival.device, signer, arrival.epoch, parent)

    return find


def _without(codes: str) -> Any:
    def change(fields: Json) -> None:
        fields["quarantined"] = [odd for odd in fields.get("quarantined", []) if odd["code"] != codes]

    return change


def _add(name: str, number: int) -> Any:
    return lambda fields: fields.update({name: fields[name] + number})


def _break_receipt(fields: Json) -> None:
    fields["receipt"]["signature"] = "00" * 64


def _double_changes(fields: Json) -> None:
    fields["changes"] = [*fields["changes"], *fields["changes"]]


def _keep_bytes(fields: Json) -> None:
    fields["palms"] = [palm | {"sealed": "UFNM"} for palm in fields["palms"]]


def _quarantine_first(fields: Json) -> None:
    fields["quarantined"] = [{"seq": 1, "code": "unreadable"}]


def _ends_where(numbers: Sequence[int]) -> Any:
    return lambda _, answer: answer.fields.get("accepted_through") in numbers


def _has_later_duplicates(_: AskedRequest, answer: RawAnswer) -> bool:
    return bool(2 < answer.fields.get("duplicates", 0) < answer.fields["accepted_through"])


def _is_whole_duplicate(_: AskedRequest, answer: RawAnswer) -> bool:
    return bool(answer.fields.get("duplicates", 0) == answer.fields["accepted_through"] == 10)


def _was_taken_back(_: AskedRequest, answer: RawAnswer) -> bool:
    return any("sealed" not in palm for palm in answer.fields.get("palms", []))


MUTANTS: dict[str, LedgerMutant] = {
    # Who is believed.
    "a new device has no epoch": LedgerMutant(
        edit(_CURSOR, put(epoch="0" * 16), when=lambda _, answer: "epoch" not in answer.fields)
    ),
    "enrolling again gives the same identity": LedgerMutant(
        edit("POST enrolments", put(device="k-another"))
    ),
    "a code serves one key": LedgerMutant(answer_instead("POST enrolments", 403, 200, _IDENTITY)),
    "unsigned requests are refused": LedgerMutant(answer_instead(_CURSOR, 401, 200, _NO_EPOCH, _is_unsigned)),
    "a strangers signature is refused": LedgerMutant(
        answer_instead(
            _CURSOR, 401, 200, _NO_EPOCH,
            lambda asked, answer: not _is_unsigned(asked, answer) and not _is_clock(asked, answer),
        ),
        follows=frozenset({"a former key ends"}),  # from then on it is a stranger's
    ),
    "an altered body is refused": LedgerMutant(answer_instead(_BATCH, 401, 200, {})),
    "a question must be fresh": LedgerMutant(
        answer_instead(_CURSOR, 401, 200, _NO_EPOCH, _is_clock)
    ),
    "a wrong clock learns the time": LedgerMutant(
        outside=lambda asked, answer: _strip(asked, answer, ok=False, clock=True)
    ),
    "a fact need not be fresh": LedgerMutant(answer_instead(_BATCH, 200, 401, when=_is_old)),
    # The ledger's word.
    "answers are signed": LedgerMutant(
        outside=lambda asked, answer: _strip(asked, answer, ok=True, clock=False),
        follows=frozenset({"an answer is bound to its request"}),
    ),
    "an answer is bound to its request": LedgerMutant(
        replaced={"sync.contract.signature.sign_answer": _bind_elsewhere}
    ),
    "refusals are signed": LedgerMutant(outside=lambda asked, answer: _strip(asked, answer, ok=False, clock=False)),
    # Batches.
    "an epoch begins at one": LedgerMutant(
        edit(_BATCH, put(type=ProblemType.GAP), 409, lambda _, answer: b"epoch-unknown" in answer.body),
        follows=frozenset({"refusals are signed"}),  # which asks for the same refusal
    ),
    "a batch is receipted": LedgerMutant(edit(_BATCH, _break_receipt)),
    "sending again is harmless": LedgerMutant(edit(_BATCH, put(duplicates=0), when=_is_whole_duplicate)),
    "other cuts are harmless": LedgerMutant(edit(_BATCH, _add("accepted_through", 1), when=_has_later_duplicates)),
    "a gap names what is missing": LedgerMutant(edit(_BATCH, drop("expected_seq"), 409)),
    "a fork names where it parts": LedgerMutant(
        edit(_BATCH, _add("seq", 1), 409, lambda _, answer: b"problem:fork" in answer.body)
    ),
    "the cursor is where the chain is": LedgerMutant(
        edit(_CURSOR, _add("accepted_through", -1), when=lambda _, answer: "epoch" in answer.fields)
    ),
    "the cursor has a receipt": LedgerMutant(edit(_CURSOR, drop("receipt"))),
    "what cannot be read is stored and named": LedgerMutant(edit(_BATCH, _without("unreadable"))),
    "every byte is stored": LedgerMutant(replaced={"sync.contract.batch.decode": _shallow}),
    "codings are understood": LedgerMutant(
        answer_instead(_BATCH, 200, 415, when=lambda asked, _: asked.headers.get("content-encoding") == "gzip")
    ),
    "an unknown coding is named": LedgerMutant(answer_instead(_BATCH, 415, 400)),
    "too many bytes are refused": LedgerMutant(answer_instead(_BATCH, 413, 500)),
    "a thousand events are taken": LedgerMutant(answer_instead(_BATCH, 200, 413, when=_ends_where([1_000]))),
    "framing faults store nothing": LedgerMutant(
        answer_instead(_BATCH, 400, 200, {}), follows=frozenset({"refusals are signed"})
    ),
    "a batch that contradicts itself is told": LedgerMutant(answer_instead(_BATCH, 422, 400)),
    "a stop is an event like any": LedgerMutant(edit(_BATCH, _quarantine_first, when=says(b'"kind":"stop"'))),
    # Epochs, and what is missing in them.
    "a new epoch supersedes the old": LedgerMutant(
        edit(_BATCH, put(type=ProblemType.EPOCH_UNKNOWN), 409, lambda _, answer: b"epoch-superseded" in answer.body)
    ),
    "a carried event is taken": LedgerMutant(edit(_BATCH, _quarantine_first, when=says(b'"kind":"carried"'))),
    "an orphan epoch is opened": LedgerMutant(answer_instead(_BATCH, 200, 409, when=says(b'"parent":"abab'))),
    "a closed epoch goes on": LedgerMutant(answer_instead(_BATCH, 200, 409, when=says(b'"closed":true'))),
    "an epoch waits for what it follows": LedgerMutant(
        answer_instead(_BATCH, 409, 200, {}, says(b'"follows":"'))
    ),
    "a named hole is leapt": LedgerMutant(answer_instead(_BATCH, 200, 409, when=says(b'"holes":['))),
    "a hole excuses no other gap": LedgerMutant(answer_instead(_BATCH, 409, 200, {}, says(b'"holes":['))),
    "a loss that is told is read": LedgerMutant(edit(_BATCH, _quarantine_first, when=says(b'"kind":"lost"'))),
    "a tombstone carries the chain on": LedgerMutant(
        edit(_BATCH, put(head="00" * 32), when=says(b'"tombstones":['))
    ),
    "a tombstone is named": LedgerMutant(edit(_BATCH, _without("tombstone"))),
    "deferred bytes are wanted": LedgerMutant(edit(_CURSOR, drop("wanted"))),
    "deferred bytes are stored": LedgerMutant(edit(_BATCH, drop("filled"))),
    # What else is told and asked.
    "heartbeats are answered": LedgerMutant(edit(_BEAT, _add("roster", 1))),
    "a heartbeat compares heads": LedgerMutant(edit(_BEAT, drop("epoch", "accepted_through", "head"))),
    "a heartbeat is remembered": LedgerMutant(edit(_BEAT, drop("heard"))),
    "twins are told": LedgerMutant(edit(_BEAT, drop("twin"))),
    "an incarnation is named": LedgerMutant(edit(_BEAT, drop("incarnation"))),
    "the roster comes in pages of one version": LedgerMutant(edit("GET roster", _double_changes)),
    "a lost page cursor begins again": LedgerMutant(answer_instead("GET roster", 410, 404)),
    "another school is not found": LedgerMutant(answer_instead("GET palms", 404, 403)),
    "a palm without consent is not stored": LedgerMutant(edit("POST palms", put(kept=True))),
    "a palm is handed on": LedgerMutant(
        edit("GET palms", put(palms=[])), follows=frozenset({"a palm that is taken back is gone"})
    ),
    "a palm that is taken back is gone": LedgerMutant(
        edit("GET palms", _keep_bytes, when=_was_taken_back)
    ),
    "used codes are told": LedgerMutant(edit("GET code-uses", put(uses=[]))),
    "the receipt keys are shown": LedgerMutant(edit("GET receipt-keys", put(keys=[]))),
    "the logs key is vouched for": LedgerMutant(edit("GET log", put(key_signature="00" * 64))),
    "the contract is published": LedgerMutant(edit("GET openapi.json", put(openapi="3.0.0"))),
    # A kiosk's keys.
    "a new key is taken": LedgerMutant(
        answer_instead(_KEYS, 200, 404),
        follows=frozenset({"a former key ends", "an epoch of a former key is taken"}),
    ),
    "a new key must prove itself": LedgerMutant(answer_instead(_KEYS, 400, 200, {})),
    "a former key ends": LedgerMutant(
        replaced={"sync.ledger.registry.device_keys.retire_former": lambda _: lambda *__: None}
    ),
    "an epoch of a former key is taken": LedgerMutant(
        replaced={"sync.ledger.intake.joining._find_genesis": _signer_alone}
    ),
    # The door.
    "a crowd of strangers keeps no kiosk out": LedgerMutant(refuses_after=50),
    "half a header is not waited for": LedgerMutant(
        replaced={"sync.ledger.door.lobby.TimedConnection._set_timer": lambda _: lambda *__: None}
    ),
    "half a body is not waited for": LedgerMutant(
        replaced={"sync.ledger.door.doorkeeper._read_body": lambda read: lambda *given: read(*given[:3], 3_600.0)}
    ),
}  # fmt: skip
