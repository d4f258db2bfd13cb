"""The check of the last update: how it went, and the next step where it did not hold."""

from collections.abc import Iterator

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, attention, good
from edge_agent.cli.phrases import phrase
from edge_agent.domain.update_plan import UpdateRecord, UpdateState
from edge_agent.update.versions import FOLDER, read_record


def check_update(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields a finding on the last update of this machine."""
    yield judge_record(read_record(kiosk.root / FOLDER.relative_to("/")))


def judge_record(record: UpdateRecord) -> Finding:
    """Returns the finding on an update with this record."""
    part = "update"
    match record.state:
        case UpdateState.NONE:
            return good(part, phrase("none was tried here"))
        case UpdateState.CONFIRMED:
            return good(part, phrase("{version} has had its first session", version=record.version))
        case UpdateState.TRIAL | UpdateState.FIRST_SESSION:
            return good(part, phrase("{version} is on trial until its first session is over", version=record.version))
        case UpdateState.ROLLED_BACK:
            detail = phrase(
                "{version} was rolled back, and {previous} runs: {reason}",
                version=record.version,
                previous=record.previous,
                reason=record.reason,
            )
            return attention(part, detail, phrase("send the reason to whoever builds your releases"))
        case UpdateState.REFUSED:
            return attention(
                part,
                phrase("a release was not taken: {reason}", reason=record.reason),
                phrase("correct that, then: edge-agent update apply FILE"),
            )
