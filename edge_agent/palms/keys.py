"""The school's key on this kiosk: one file that only the agent's user can read, and how it comes there.

The first kiosk of a school makes it. A further one gets it over a stick that a technician carries to and fro:

    new kiosk      `palm key import STICK`   writes promise
    first kiosk    `palm key export STICK`   reads it, writes offer
    new kiosk      `palm key import STICK`   reads that, writes hello, shows the short code
    first kiosk    `palm key export STICK`   reads it, shows its code; the technician types the other's; writes parcel
    new kiosk      `palm key import STICK`   reads that and has the key

What is on the stick is of no use to whoever finds it. What a kiosk has to remember between two steps lies in its state
folder and is removed with the last one. `edge_agent/palm/protection/school_key.py` says why it takes so many.
"""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge_agent import identity
from edge_agent.errors import AgentError, RequestRefused
from edge_agent.palm.protection.school_key import (
    KEY_BYTES,
    Dice,
    KeyRefused,
    Receiver,
    SchoolKey,
    Sender,
    from_paper,
    to_paper,
)
from edge_agent.settings.credentials import read_credential
from sync.client.keys import DeviceKey

PALM_KEY_NAME = "palm.key"
CREDENTIAL_NAME = "palm-key"
SENDING_NAME = "palm-key.sending"
RECEIVING_NAME = "palm-key.receiving"
PROMISE, OFFER, HELLO, PARCEL = "canteen-1-promise", "canteen-2-offer", "canteen-3-hello", "canteen-4-parcel"
KEY_FILE_BYTES_MAX = 4096


class NoSchoolKey(AgentError):
    """This kiosk has no school's key; no palm can be enrolled or recognised."""


class KeyExists(AgentError):
    """A key is there already; nothing was replaced."""


@dataclass(frozen=True, slots=True)
class _Sending:
    private: bytes = field(repr=False)
    promise: bytes


@dataclass(frozen=True, slots=True)
class _Receiving:
    nonce: bytes
    offer: bytes = b""


Session = TypeVar("Session", _Sending, _Receiving)


@dataclass(frozen=True, slots=True)
class HandoverStep:
    """The result of one step of the handover. `code` is what this screen shows; `done` marks the last step."""

    next: str
    code: str = ""
    done: bool = False


def load(state_dir: Path, environ: Mapping[str, str] = os.environ) -> SchoolKey:
    """Returns this kiosk's copy of the school's key. Raises `NoSchoolKey`, and `RequestRefused` when it is unusable."""
    text = read_credential(CREDENTIAL_NAME, environ)
    if text:
        return _parsed(text, f"credential {CREDENTIAL_NAME}")
    path = state_dir / PALM_KEY_NAME
    text = _read(path)
    if text is None:
        raise NoSchoolKey(
            "this kiosk has no palm key: on the school's first kiosk run `edge-agent palm key make`, on a further one "
            "`edge-agent palm key import STICK`, or `edge-agent palm key restore` with the printout"
        )
    return _parsed(text, str(path))


def make(state_dir: Path, dice: Dice = os.urandom) -> SchoolKey:
    """Makes a new key, for the first kiosk of a school. Raises `KeyExists`."""
    key = SchoolKey.make(dice)
    keep(state_dir, key)
    return key


def keep(state_dir: Path, key: SchoolKey) -> None:
    """Writes the key where `load` finds it. Raises `KeyExists`: to change the key, remove the old one first."""
    path = state_dir / PALM_KEY_NAME
    try:
        _write(path, "-".join(to_paper(key)).encode() + b"\n", replace=False)
    except FileExistsError as error:
        raise KeyExists(
            f"{path}: a key is there already, and every palm enrolled here needs it; only if they are all to be "
            "enrolled again, move it away first"
        ) from error


def restore(state_dir: Path, typed: str) -> SchoolKey:
    """Restores the key from its printout. Raises `RequestRefused` for a slip, and `KeyExists`."""
    try:
        key = from_paper(typed)
    except KeyRefused as error:
        raise RequestRefused(f"{error}; compare with the printout and type it again") from error
    keep(state_dir, key)
    return key


def fingerprint(state_dir: Path) -> str:
    return load(state_dir).fingerprint


def export_step(
    state_dir: Path, stick: Path, compared: Callable[[str], str], *, again: bool = False, dice: Dice = os.urandom
) -> HandoverStep:
    """Does the next step of the kiosk that has the key. `compared` shows our code and returns the other screen's."""
    key = load(state_dir)
    remembered = state_dir / SENDING_NAME
    session = None if again else _remembered(remembered, _Sending)
    try:
        if session is None:
            promise = _from_stick(stick, PROMISE, "run `edge-agent palm key import STICK` on the new kiosk first")
            private = dice(KEY_BYTES)
            sender = Sender.make(promise, lambda _: private)
            _write(remembered, msgspec.msgpack.encode(_Sending(private, promise)), replace=True)
            _to_stick(stick, OFFER, sender.offer)
            return HandoverStep("carry the stick to the new kiosk and run `edge-agent palm key import` there")
        sender = Sender.make(session.promise, lambda _: session.private)
        hello = _from_stick(
            stick, HELLO, "carry the stick to the new kiosk, run `edge-agent palm key import`, and bring it back"
        )
        code = sender.code(hello)
        parcel = sender.parcel(key, hello, compared(code), dice)
    except KeyRefused as error:
        # One attempt a hand-over: whoever sits in between must not try again with the same keys.
        remembered.unlink(missing_ok=True)
        raise RequestRefused(f"{error}; empty the stick and begin again on the new kiosk") from error
    _to_stick(stick, PARCEL, parcel)
    remembered.unlink()
    return HandoverStep("carry the stick to the new kiosk and run `edge-agent palm key import` there a last time", code)


def import_step(state_dir: Path, stick: Path, *, again: bool = False, dice: Dice = os.urandom) -> HandoverStep:
    """Does the next step of the kiosk that needs the key."""
    if (state_dir / PALM_KEY_NAME).exists():
        raise KeyExists(
            f"{state_dir / PALM_KEY_NAME}: this kiosk has a key already; compare `edge-agent palm key show-code`"
        )
    remembered = state_dir / RECEIVING_NAME
    session = None if again else _remembered(remembered, _Receiving)
    if session is None:
        nonce = dice(16)
        receiver = _receiver(state_dir, nonce)
        _write(remembered, msgspec.msgpack.encode(_Receiving(receiver.nonce)), replace=True)
        for name in (OFFER, HELLO, PARCEL):
            (stick / name).unlink(missing_ok=True)  # of an older attempt
        _to_stick(stick, PROMISE, receiver.promise)
        return HandoverStep("carry the stick to the kiosk that has the key and run `edge-agent palm key export` there")
    receiver = _receiver(state_dir, session.nonce)
    try:
        if not session.offer:
            offer = _from_stick(stick, OFFER, "run `edge-agent palm key export STICK` on the kiosk that has the key")
            code = receiver.code(offer)
            _write(remembered, msgspec.msgpack.encode(_Receiving(session.nonce, offer)), replace=True)
            _to_stick(stick, HELLO, receiver.hello)
            return HandoverStep(
                "note this code, carry the stick back and type it into `edge-agent palm key export`", code
            )
        parcel = _from_stick(stick, PARCEL, "run `edge-agent palm key export STICK` on the kiosk that has the key")
        key = receiver.open(session.offer, parcel)
    except KeyRefused as error:
        remembered.unlink(missing_ok=True)
        raise RequestRefused(f"{error}; empty the stick and begin again with `edge-agent palm key import`") from error
    keep(state_dir, key)
    remembered.unlink()
    for name in (PROMISE, OFFER, HELLO, PARCEL):
        (stick / name).unlink(missing_ok=True)
    return HandoverStep("this kiosk has the school's key; restart the daemon (systemctl restart edge-agent)", done=True)


def code_shown(state_dir: Path) -> str:
    """Returns the short code of a handover that waits for its comparison here; empty where none does."""
    session = _remembered(state_dir / RECEIVING_NAME, _Receiving)
    if session is None or not session.offer:
        return ""
    return _receiver(state_dir, session.nonce).code(session.offer)


def _receiver(state_dir: Path, nonce: bytes) -> Receiver:
    """Returns the receiving side of the handover. Its key is derived from the device key, which signs, so that no
    second one is kept.
    """
    device = DeviceKey.load_or_make(state_dir / identity.DEVICE_KEY_NAME).private.private_bytes_raw()
    raw = HKDF(SHA256(), KEY_BYTES, None, b"canteen palm key agreement 1").derive(device)
    return Receiver(X25519PrivateKey.from_private_bytes(raw), nonce)


def _parsed(content: bytes, where: str) -> SchoolKey:
    try:
        return from_paper(content.decode("ascii"))
    except (KeyRefused, UnicodeDecodeError) as error:
        raise RequestRefused(
            f"{where}: not a palm key ({error}); move it away and restore it from the printout "
            "(`edge-agent palm key restore`)"
        ) from error


def _remembered(path: Path, kind: type[Session]) -> Session | None:
    content = _read(path)
    if content is None:
        return None
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except msgspec.DecodeError:
        return None


def _read(path: Path) -> bytes | None:
    """Returns a secret file's content; None where there is none. Raises `RequestRefused` when others may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(KEY_FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestRefused(f"{path}: {error.strerror}; run this as the agent's user") from error
    if mode & 0o077:
        raise RequestRefused(f"{path}: others may read this key (mode {mode:04o}); chmod 600 it")
    return content


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    """Writes a file whole or not at all, for the folder's owner only. Raises FileExistsError unless `replace`."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.getuid() == 0:  # a technician with sudo: the daemon's user must be able to read it
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            fresh.replace(path)
        else:
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _from_stick(stick: Path, name: str, otherwise: str) -> bytes:
    try:
        with (stick / name).open("rb") as file:
            return file.read(KEY_FILE_BYTES_MAX)
    except FileNotFoundError as error:
        raise RequestRefused(f"{stick / name} is not there: {otherwise} (or --again to begin anew)") from error
    except OSError as error:
        raise RequestRefused(f"{stick / name}: {error.strerror}; is the stick in, and readable?") from error


def _to_stick(stick: Path, name: str, content: bytes) -> None:
    try:
        with (stick / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RequestRefused(f"{stick / name}: {error.strerror}; is the stick in, and writable?") from error
