"""The contract as OpenAPI 3.1, its schemas generated from the very types that the wire is read with."""

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from sync.contract import (
    batch,
    device_keys,
    dynamic_codes,
    log_view,
    palms,
    receipt,
    receipt_keys,
    replacement_cards,
    roster,
    wire,
)

_MESSAGES = (
    wire.BatchReply,
    wire.Cursor,
    wire.Heartbeat,
    wire.HeartbeatReply,
    wire.RegistrationRequest,
    wire.RegistrationReply,
    wire.ProblemDocument,
    wire.PartHealth,
    batch.BatchHeader,
    batch.Tombstone,
    receipt.Receipt,
    roster.RosterPage,
    log_view.LogView,
    palms.SealedPalmMessage,
    palms.SealedPalmReply,
    palms.SealedPalmPage,
    replacement_cards.ReplacementCardMessage,
    replacement_cards.ReplacementCardReply,
    replacement_cards.ReplacementCardPage,
    dynamic_codes.CodeUsePage,
    receipt_keys.ReceiptKeyPage,
    device_keys.DeviceKeyRequest,
    device_keys.DeviceKeyReply,
)

_Node = dict[str, Any]  # a JSON document is built here; it leaves this file as bytes


def _content(kind: str, media: str = wire.JSON) -> _Node:
    return {media: {"schema": {"$ref": f"#/components/schemas/{kind}"}}}


def _response(kind: str, text: str) -> _Node:
    return {"description": text, "content": _content(kind)}


def _problems(**texts: str) -> _Node:
    """Returns the responses for `_409="…"`: a status and its meaning."""
    return {
        status.removeprefix("_"): {
            "description": text,
            "content": _content("ProblemDocument", wire.PROBLEM_JSON),
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status == "_503" else {}),
        }
        for status, text in texts.items()
    }


def _in(place: str, name: str, schema: _Node, text: str = "", *, required: bool = True) -> _Node:
    return {"in": place, "name": name, "required": required, "schema": schema, "description": text}


_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
_DEVICE = _in("path", "device", _NAME, "the id that enrolment gave")
_SCHOOL = _in("path", "school", _NAME)
_EPOCH = _in("path", "epoch", {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "one life of the device's journal")
_SIGNED = [
    _in("header", "Signature-Input", {"type": "string"}, "RFC 9421, label `cnt`; keyid is the device's id"),
    _in("header", "Signature", {"type": "string"}, "Ed25519"),
]
_DIGEST = _in("header", "Content-Digest", {"type": "string"}, "RFC 9530, sha-256 of the body as sent")
_ENCODING = _in(
    "header", "Content-Encoding", {"type": "string", "enum": ["zstd", "gzip", "identity"]}, required=False
)  # fmt: skip
_USUAL = _problems(
    _401="the signature is missing or wrong, or the device is unknown",
    _403="the device is suspended",
    _503="many at once, or the database is away: come again after Retry-After",
)

_BATCH_TEXT = f"""Newline-delimited JSON: a BatchHeader, then one event a line, the very bytes that were hashed,
ascending; at most {batch.EVENTS_MAX} events and {batch.BODY_BYTES_MAX} bytes before compression. A line is opaque: one
that extends the chain is stored and acknowledged, and listed in `quarantined` where it is odd. Sending again is
harmless."""


def _paths() -> _Node:
    return {
        "/v1/devices/{device}/epochs/{epoch}/batches": {
            "post": {
                "operationId": "sendBatch",
                "description": _BATCH_TEXT,
                "parameters": [_DEVICE, _EPOCH, *_SIGNED, _DIGEST, _ENCODING],
                "requestBody": {"required": True, "content": {wire.NDJSON: {"schema": {"type": "string"}}}},
                "responses": {
                    "200": _response("BatchReply", "the batch is stored, or was before"),
                    **_problems(
                        _400="not readable as a batch",
                        _409="gap, fork, epoch-unknown or epoch-superseded: the chain does not go on here",
                        _413="too many bytes: send half",
                        _415="unknown content coding",
                        _422="the batch contradicts itself",
                    ),
                    **_USUAL,
                },
            }
        },
        "/v1/devices/{device}/cursor": {
            "get": {
                "operationId": "getCursor",
                "description": "Where the ledger stands with this device. Ask at start and after every 409.",
                "parameters": [_DEVICE, *_SIGNED],
                "responses": {"200": _response("Cursor", "the open epoch and its head"), **_USUAL},
            }
        },
        "/v1/devices/{device}/heartbeats": {
            "post": {
                "operationId": "sendHeartbeat",
                "parameters": [_DEVICE, *_SIGNED, _DIGEST],
                "requestBody": {"required": True, "content": _content("Heartbeat")},
                "responses": {
                    "200": _response("HeartbeatReply", "heard"),
                    **_problems(_400="no heartbeat", _413="too many bytes"),
                    **_USUAL,
                },
            }
        },
        "/v1/devices/{device}/log": {
            "get": {
                "operationId": "getLogView",
                "description": "The newest checkpoint of the school's events, with this device's newest batch in it.",
                "parameters": [
                    _DEVICE,
                    _in("query", "since", {"type": "integer", "minimum": 0}, "leaves of the last checkpoint; 0: none"),
                    *_SIGNED,
                ],
                "responses": {
                    "200": _response("LogView", "the checkpoint, signed by the log"),
                    **_problems(_400="no number", _404="this ledger has no logs"),
                    **_USUAL,
                },
            }
        },
        "/v1/devices/{device}/keys": {
            "post": {
                "operationId": "changeKey",
                "description": "The device's next key, proven by itself, in a request that the key in force has signed."
                " Both are in force until the first request by the new one.",
                "parameters": [_DEVICE, *_SIGNED, _DIGEST],
                "requestBody": {"required": True, "content": _content("DeviceKeyRequest")},
                "responses": {
                    "200": _response("DeviceKeyReply", "the new key is in force, too"),
                    **_problems(_400="no proof, or a key that was retired", _413="too many bytes"),
                    **_USUAL,
                },
            }
        },
        "/v1/schools/{school}/roster": {
            "get": {
                "operationId": "getRoster",
                "description": "Pages of one version; follow `cursor` while `more`, then apply all of them or none.",
                "parameters": [
                    _SCHOOL,
                    _in("query", "since", {"type": "integer", "minimum": 0}, "the version in force; 0: none"),
                    _in("query", "cursor", {"type": "string"}, required=False),
                    _in("query", "knows", {"type": "string"}, "later record types that are understood", required=False),
                    *_SIGNED,
                ],
                "responses": {
                    "200": _response("RosterPage", "changes since that version"),
                    **_problems(_400="no version", _404="not this device's school", _410="begin the pull again"),
                    **_USUAL,
                },
            }
        },
        "/v1/schools/{school}/palms": {
            "post": {
                "operationId": "keepPalm",
                "description": "A hand's templates, sealed with the school's key, or that they were taken back.",
                "parameters": [_SCHOOL, *_SIGNED, _DIGEST],
                "requestBody": {"required": True, "content": _content("SealedPalmMessage")},
                "responses": {
                    "200": _response("SealedPalmReply", "kept, or nothing was stored since there is no consent"),
                    **_problems(_400="no parcel", _404="not this device's school", _413="too many bytes"),
                    **_USUAL,
                },
            },
            "get": {
                "operationId": "getPalms",
                "description": "In the ledger's order; go on behind `version` while `more`. Later ones of a hand win.",
                "parameters": [
                    _SCHOOL,
                    _in("query", "since", {"type": "integer", "minimum": 0}, "the last number that is known; 0: none"),
                    *_SIGNED,
                ],
                "responses": {
                    "200": _response("SealedPalmPage", "what came after that number"),
                    **_problems(_400="no number", _404="not this device's school"),
                    **_USUAL,
                },
            },
        },
        "/v1/schools/{school}/replacement-cards": {
            "post": {
                "operationId": "storeReplacementCard",
                "description": "A card in the place of lost ones, its number sealed; or that it has ended.",
                "parameters": [_SCHOOL, *_SIGNED, _DIGEST],
                "requestBody": {"required": True, "content": _content("ReplacementCardMessage")},
                "responses": {
                    "200": _response("ReplacementCardReply", "kept, or nothing was stored of nobody on the roster"),
                    **_problems(_400="no card", _404="not this device's school", _413="too many bytes"),
                    **_USUAL,
                },
            },
            "get": {
                "operationId": "getReplacementCards",
                "description": "In the ledger's order; go on behind `version` while `more`. A person's later one wins.",
                "parameters": [
                    _SCHOOL,
                    _in("query", "since", {"type": "integer", "minimum": 0}, "the last number that is known; 0: none"),
                    *_SIGNED,
                ],
                "responses": {
                    "200": _response("ReplacementCardPage", "what came after that number"),
                    **_problems(_400="no number", _404="not this device's school"),
                    **_USUAL,
                },
            },
        },
        "/v1/schools/{school}/code-uses": {
            "get": {
                "operationId": "getCodeUses",
                "description": "The last step of a changing code that each person has used at any kiosk of the school.",
                "parameters": [
                    _SCHOOL,
                    _in("query", "since", {"type": "integer", "minimum": 0}, "the last number that is known; 0: none"),
                    *_SIGNED,
                ],
                "responses": {
                    "200": _response("CodeUsePage", "what came after that number"),
                    **_problems(_400="no number", _404="not this device's school"),
                    **_USUAL,
                },
            },
        },
        wire.REGISTRATIONS_PATH: {
            "post": {
                "operationId": "enrol",
                "description": "A one-time code for an identity. Signed with the key shown, keyid its fingerprint.",
                "parameters": [*_SIGNED, _DIGEST],
                "requestBody": {"required": True, "content": _content("RegistrationRequest")},
                "responses": {
                    "200": _response("RegistrationReply", "the identity that this code and key already have"),
                    "201": _response("RegistrationReply", "a new identity"),
                    **_USUAL,
                    **_problems(_400="not understood", _403="code-refused", _413="too many bytes"),
                },
            }
        },
        receipt_keys.RECEIPT_KEYS_PATH: {
            "get": {
                "operationId": "getReceiptKeys",
                "description": "The keys that signed receipts and answers, oldest first, each signed by the one before"
                " it; the last is in force. Anybody may ask.",
                "responses": {
                    "200": _response("ReceiptKeyPage", "the whole chain"),
                    **_problems(_429="too many requests without a known key", _503="the database is away"),
                },
            }
        },
        "/v1/health": {
            "get": {
                "operationId": "getHealth",
                "responses": {"200": _response("PartHealth", "the database answers"), **_problems(_503="it does not")},
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "getContract",
                "responses": {"200": {"description": "this", "content": {wire.JSON: {"schema": {"type": "object"}}}}},
            }
        },
    }


@cache
def document() -> bytes:
    """Returns the document's JSON."""
    _, schemas = msgspec.json.schema_components(_MESSAGES, ref_template="#/components/schemas/{name}")
    return msgspec.json.encode({
        "openapi": "3.1.0",
        "info": {"title": "Canteen ledger", "version": version("canteen-edge-agent")},
        "paths": _paths(),
        "components": {"schemas": schemas},
    })  # fmt: skip
