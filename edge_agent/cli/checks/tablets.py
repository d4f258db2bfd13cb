"""The finding about the staff's tablets, with the next step."""

from collections.abc import Iterator
from typing import assert_never

from edge_agent.cli.checks.finding import ExaminedKiosk, Finding, attention, good
from edge_agent.cli.phrases import phrase
from edge_agent.control_api import TabletsStatus
from edge_agent.domain.tablets import DoorFault


def check_tablets(kiosk: ExaminedKiosk) -> Iterator[Finding]:
    """Yields one finding where tablets are switched on and a daemon runs, else none."""
    if kiosk.status is not None and kiosk.status.tablets is not None:
        yield _judge(kiosk.status.tablets)


def _judge(tablets: TabletsStatus) -> Finding:
    match tablets.fault:
        case DoorFault.NONE:
            return good(
                "tablets",
                phrase(
                    "https://{name}:{port}/ at {addresses}; paired: {paired}; certificate until {until}",
                    name=tablets.name,
                    port=tablets.port,
                    addresses=", ".join(tablets.addresses),
                    paired=tablets.paired,
                    until=tablets.until[:10],
                ),
            )
        case DoorFault.NO_ADDRESS:
            return attention(
                "tablets",
                phrase("the kiosk has no address in the school's network"),
                phrase("plug its network in, or name the right one in tablets.networks"),
            )
        case DoorFault.NOT_LISTENING:
            return attention(
                "tablets",
                phrase("no tablet is heard at {where}", where=tablets.why),
                phrase("stop the program that holds the port, or set another tablets.port"),
            )
        case DoorFault.NO_AUTHORITY:
            return attention(
                "tablets",
                phrase("the kiosk's authority gives no certificate: {why}", why=tablets.why),
                phrase(
                    "look at tablets-ca.pem in the state folder; moved away, a new one is made and every tablet"
                    " paired anew"
                ),
            )
        case DoorFault.STOPPED:
            return attention(
                "tablets",
                phrase("the tablets' door was stopped by an error of the agent"),
                phrase("systemctl restart edge-agent, and send its log to support"),
            )
        case _:
            assert_never(tablets.fault)
