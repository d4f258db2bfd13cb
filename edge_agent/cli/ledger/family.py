"""`edge-agent ledger slip` and `contest`: paper for families, and the answers to their objections."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.ledger.database import DATA_DEFAULT, DatabaseOption, DataOption, SchoolArgument, open_ledger
from edge_agent.cli.ledger.key_files import format_decision_time, open_log_key, read_private_key
from edge_agent.cli.ledger.proof import read_note_key
from edge_agent.cli.options import JsonOption, out, print_json, print_table
from edge_agent.errors import AgentError, ExitCode
from sync.ledger.family.slips import SlipLanguage

contest_app = typer.Typer(no_args_is_help=True, help="Objections of families, and their answers.")

DAY_FIRST, DAY_LAST = "0000-00-00", "9999-99-99"


class WrongAnswer(AgentError):
    """An answer on the command line is none."""

    exit_code = ExitCode.USAGE


def slip(
    school: SchoolArgument,
    person: Annotated[str, typer.Argument(help="The child's id on the roster.")],
    by: Annotated[str, typer.Option(help="Who hands the slip out.")] = "",
    witness_key: Annotated[str, typer.Option(help="The witness's key, to be printed on the slip.")] = "",
    language: Annotated[SlipLanguage, typer.Option(help="The language of the slip.")] = SlipLanguage.KK,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take all codes of this child back instead.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a family's paper slip: a code for the child's page until the year's end, and the keys that check proofs."""
    from sync.ledger.family.codes import find_year_end, issue_family_code, revoke_family_codes
    from sync.ledger.family.slips import FamilySlip, print_slip
    from sync.ledger.server import utc_now
    from sync.proof.leaves import LogName

    now = utc_now()
    with open_ledger(data_dir, database_url) as connection:
        if revoke:
            count = revoke_family_codes(connection, school, person, now)
            out.print(f"{person}: {count} codes are taken back, and every device is shut out", markup=False)
            return
        code = issue_family_code(connection, school, person, by=by, now=now)
    key = str(open_log_key(data_dir).log_key(school, LogName.CLAIMS))
    seer = str(read_note_key(witness_key)) if witness_key else ""
    made = FamilySlip(person, code, find_year_end(now).date(), key, seer)
    if as_json:
        print_json({
            "person": person, "code": code, "until": made.until.isoformat(), "ledger_key": key, "witness_key": seer
        })  # fmt: skip
        return
    out.print(print_slip(made, language), markup=False, soft_wrap=True)


def erase(
    school: SchoolArgument,
    person: Annotated[str, typer.Argument(help="The person's id.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Erase a person: name, source's id, cards, codes, palms, family's codes, notes, categories, rows of statements.

    Take the person out of the school's system first: an import that still names them brings them again, as somebody
    new. Hashes and sums stay, under a name that is nobody's. `ledger purge` overwrites what the database still has
    of deleted rows.
    """
    from sync.ledger.family.erasure import erase_from_ledger
    from sync.ledger.server import utc_now

    with open_ledger(data_dir, database_url) as connection:
        erased = erase_from_ledger(connection, school, person, utc_now())
    out.print(
        f"{person}: {erased.records} records of the roster, {erased.rows} rows of statements, {erased.notes} notes of"
        f" contests and {erased.categories} categories are erased",
        markup=False,
    )


def purge(data_dir: DataOption = DATA_DEFAULT, database_url: DatabaseOption = "") -> None:
    """Overwrite what the database's files still hold of rows that were deleted: tables, samples and WAL.

    Kiosks wait while a table is written. Backups, archives of the WAL and standbys are out of reach: they hold erased
    people as long as you keep them.
    """
    from sync.ledger.recovery.purging import purge_files

    with open_ledger(data_dir, database_url) as connection:
        purged = purge_files(connection)
    left = f"; {purged.segments_left} older files of the WAL are still there" if purged.segments_left else ""
    out.print(f"{purged.tables} tables are written anew, and the WAL{left}", markup=False)
    for keeper in purged.kept_by:
        out.print(f"older WAL is also kept by: {keeper}", markup=False)


def person(
    school: SchoolArgument,
    source_id: Annotated[str, typer.Argument(help="The person's id in the exports of the school's system.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Show by which name the ledger knows a person of the school's exports; other commands take this name."""
    from sync.ledger.registry.surrogates import find_surrogate

    with open_ledger(data_dir, database_url) as connection:
        surrogate = find_surrogate(connection, school, source_id)
    out.print(surrogate, markup=False)


@contest_app.command("list")
def list_open(
    school: SchoolArgument,
    month: Annotated[str, typer.Option(help="Only this month, as 2026-11.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those that have an answer, too.")] = False,
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what families object to and nobody has answered."""
    from sync.ledger.judgement.contests import list_contests

    first, last = (f"{month}-01", f"{month}-31") if month else (DAY_FIRST, DAY_LAST)
    with open_ledger(data_dir, database_url) as connection:
        contests = list_contests(connection, school, first, last, open_only=not everything)
    rows = [
        {
            "contest": contest.contest, "day": contest.day, "session": contest.session, "person": contest.person,
            "kind": contest.kind.value, "entry": "/".join(map(str, contest.entry)) if contest.entry else "",
            "note": contest.note, "answer": contest.answer.outcome.value if contest.answer else "",
        }
        for contest in contests
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    print_table(
        ("contest", "day", "session", "person", "kind", "entry", "note", "answer"), (list(row.values()) for row in rows)
    )


@contest_app.command("answer")
def answer(
    school: SchoolArgument,
    contest: Annotated[str, typer.Argument(help="The contest, as `contest list` names it.")],
    outcome: Annotated[str, typer.Option(help="upheld: the family is right. declined: what the ledger has stands.")],
    reason: Annotated[str, typer.Option(help="Why, without names; the family reads it.")],
    key: Annotated[Path, typer.Option(help="Your private key, PEM. It is read here and goes nowhere.")],
    data_dir: DataOption = DATA_DEFAULT,
    database_url: DatabaseOption = "",
) -> None:
    """Answer one objection, by name and signature."""
    from sync.contract.contests import BadAnswer, ContestAnswer, ContestOutcome, sign_answer
    from sync.ledger.judgement.contests import answer_contest
    from sync.ledger.judgement.reversals import find_officer
    from sync.ledger.server import utc_now

    private_key, now = read_private_key(key), utc_now()
    public_key = private_key.public_key().public_bytes_raw()
    with open_ledger(data_dir, database_url) as connection:
        officer = find_officer(connection, school, public_key)
        try:
            decided_at = format_decision_time(now)
            body, signature = sign_answer(
                ContestAnswer(
                    school=school, contest=contest, outcome=ContestOutcome(outcome), reason=reason,
                    officer=officer.officer, decided_at=decided_at,
                ),
                private_key,
            )  # fmt: skip
        except (BadAnswer, ValueError) as error:
            raise WrongAnswer(str(error), "choose upheld or declined, and give a reason") from error
        answer_contest(connection, body, signature, public_key, now)
    out.print(f"{contest}: {outcome}, answered by {officer.name}", markup=False)
