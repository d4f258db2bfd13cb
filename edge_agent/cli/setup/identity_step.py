"""The step of the setup that ties the kiosk to its school: a ledger's code, or a roster from a stick."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent import identity
from edge_agent.cli.doctor import AGENT_USER
from edge_agent.cli.phrases import phrase
from edge_agent.cli.register import register_and_store
from edge_agent.cli.roster import import_export
from edge_agent.cli.setup.answers import LedgerAnswer, SetupAnswers
from edge_agent.cli.setup.dialogue import Dialogue
from edge_agent.runtime.opening import JOURNAL_NAME
from edge_agent.settings.reading import load_settings


def give_identity(config: Path, answers: SetupAnswers, dialogue: Dialogue) -> None:
    """Registers the kiosk with its ledger, or imports a roster from a stick into a kiosk without one."""
    settings = load_settings(config).settings
    state_dir = settings.kiosk.state_dir
    registration = identity.read_registration(state_dir) if state_dir.exists() else None
    if registration is not None:
        dialogue.tell(
            phrase("Done already: registered as {device} at {url}", device=registration.device, url=registration.ledger)
        )
        return
    if answers.stick is None and (ledger := answers.ledger or _ask_ledger(dialogue)) is not None:
        with acting_as_agent(state_dir):
            granted = register_and_store(settings, ledger.url, ledger.code)
        dialogue.tell(phrase("Registered as {device} of school {school}", device=granted.device, school=granted.school))
        return
    if (state_dir / JOURNAL_NAME).exists():
        dialogue.tell(phrase("Done already: this kiosk has a journal, and no ledger yet"))
        return
    stick = dialogue.require(
        dialogue.ask(phrase("The folder of the roster on the stick"), str(answers.stick or "")), "stick"
    )
    with acting_as_agent(state_dir):
        import_export(Path(stick), local=True, config=config)


def _ask_ledger(dialogue: Dialogue) -> LedgerAnswer | None:
    url = dialogue.ask(phrase("The ledger's address, https://… (empty: a roster from a stick)"), "")
    if not url:
        return None
    code = dialogue.ask(phrase("The one-time code from the ledger's operator"), "")
    return LedgerAnswer(url=url, code=dialogue.require(code, "ledger.code"))


@contextmanager
def acting_as_agent(state_dir: Path) -> Iterator[None]:
    """Makes the state folder, and lets root act as the agent's user: what is made in it belongs to that user.

    Without that user on the machine, or without the rights of root, nothing changes.
    """
    try:
        agent = pwd.getpwnam(AGENT_USER) if os.geteuid() == 0 else None
    except KeyError:
        agent = None
    if agent is None:
        state_dir.mkdir(parents=True, exist_ok=True)
        yield
        return
    if not state_dir.exists():
        state_dir.mkdir(parents=True, mode=0o750)
        os.chown(state_dir, agent.pw_uid, agent.pw_gid)
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(AGENT_USER, agent.pw_gid))
    os.setegid(agent.pw_gid)
    os.seteuid(agent.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
