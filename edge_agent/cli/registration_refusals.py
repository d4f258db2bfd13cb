"""Why a registration failed, in words for the technician at the keyboard: each reason with the one thing to do.

Nobody tries again behind a command, so no text here says that somebody does. What was typed may be typed again: a code
stays good for the kiosk that used it.
"""

import socket
from collections.abc import Iterator

from edge_agent.cli.phrases import Phrase, phrase
from edge_agent.errors import AgentError, ExitCode
from sync.contract.event import ClockQuality
from sync.contract.wire import ProblemType
from sync.errors import RequestRejected, SyncError, Unauthorised, Unreachable, Untrusted

NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_… of OpenSSL
OTHER_NAME = frozenset({62, 64})  # of a host, and of an address


class RegistrationRefused(AgentError):
    """This kiosk got no identity. The reason has one next step."""

    exit_code = ExitCode.LEDGER


def explain_refusal(error: SyncError, url: str, clock: ClockQuality, *, has_ca_file: bool) -> RegistrationRefused:
    """Returns why the ledger at this address gave no identity, and what to do."""
    reason: str
    step: str
    match error:
        case Unauthorised(problem=problem) if problem is not None and problem.type == ProblemType.CODE_REFUSED:
            return _explain_code(problem.detail.partition(":")[0])
        case Untrusted(verify_code=code) if code:
            reason, step = _explain_certificate(code, clock, has_ca_file=has_ca_file)
        case Untrusted() if error.next_step:  # the address as it was typed, or the file of authorities
            reason, step = error.reason, error.next_step
        case Unreachable(retry_after_s=wait_s) if wait_s is not None:
            reason = phrase("the ledger has too much to do just now")
            step = phrase("type the same again in {seconds} s; the code stays good", seconds=round(wait_s))
        case Unreachable():
            reason, step = _explain_line(error, url)
        case RequestRejected():
            reason = phrase("what answers at {url} is no ledger ({status})", url=url, status=error.status)
            step = phrase("compare the address with the one that the ledger's operator gave")
        case _:
            reason = phrase("the ledger's answer cannot be used: {why}", why=error.reason)
            step = phrase("tell the ledger's operator")
    return RegistrationRefused(reason, step)


def explain_folder(error: OSError, folder: object) -> RegistrationRefused:
    """Returns why the identity could not be stored."""
    if isinstance(error, PermissionError):
        step = phrase("run it as the agent's user: sudo -u canteen edge-agent register URL CODE")
        return RegistrationRefused(phrase("this user may not write in {folder}", folder=folder), step)
    reason = phrase("the identity cannot be written in {folder}: {why}", folder=folder, why=error.strerror or error)
    return RegistrationRefused(reason, phrase("free the disk: journalctl --vacuum-size=50M, du -x /"))


def _explain_code(why: str) -> RegistrationRefused:
    fresh = phrase("ask the ledger's operator for a new code: edge-agent ledger enrol-code SCHOOL")
    match why:
        case "expired":
            return RegistrationRefused(phrase("the code has expired"), fresh)
        case "withdrawn":
            return RegistrationRefused(phrase("the code was withdrawn"), fresh)
        case "used with another key":
            return RegistrationRefused(phrase("another kiosk has used this code"), fresh)
        case _:
            step = phrase("compare it letter by letter with the one that the ledger's operator gave")
            return RegistrationRefused(phrase("the ledger does not know this code"), step)


def _explain_certificate(code: int, clock: ClockQuality, *, has_ca_file: bool) -> tuple[Phrase, Phrase]:
    match code:
        case code if code in {NOT_YET_VALID, EXPIRED} and clock is not ClockQuality.SYNCHRONISED:
            return (
                phrase("the ledger's certificate is not valid at this kiosk's time, and the clock is not synchronised"),
                phrase("set the clock: timedatectl set-ntp true"),
            )
        case code if code in {NOT_YET_VALID, EXPIRED}:
            reason = phrase("the ledger's certificate is not valid today, and this kiosk's clock is right")
            return reason, phrase("the ledger's operator must renew it")
        case code if code in OTHER_NAME:
            reason = phrase("the ledger's certificate is for another name than the one in the address")
            return reason, phrase("type the name that the ledger's operator gave, not a number")
        case _ if has_ca_file:
            reason = phrase("the ledger's certificate is not from the authority in ledger.ca_file")
            return reason, phrase("put the file that the ledger's operator gives in its place")
        case _:
            reason = phrase("the ledger's certificate is from an authority that this machine does not know")
            return reason, phrase("get the authority's file from the ledger's operator and name it as ledger.ca_file")


def _explain_line(error: Unreachable, url: str) -> tuple[Phrase, Phrase]:
    for cause in _list_causes(error):
        if isinstance(cause, socket.gaierror):
            reason = phrase("no machine is known by the name in {url}", url=url)
            return reason, phrase("compare the name with the one that the ledger's operator gave")
        if isinstance(cause, ConnectionRefusedError):
            reason = phrase("the machine at {url} is there, and no ledger listens", url=url)
            return reason, phrase("compare the port with the one that the ledger's operator gave")
        if isinstance(cause, TimeoutError):
            return phrase("nothing answers at {url}", url=url), phrase("check the cable and the network's firewall")
    reason = phrase("what answers at {url} is no ledger: {why}", url=url, why=error.reason)
    return reason, phrase("compare the address with the one that the ledger's operator gave")


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
