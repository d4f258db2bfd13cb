"""What stands in the ledger's schema files, which a database that is distributed must take too."""

import re

import pytest

from sync.ledger.migrate import split_statements, steps

DISTRIBUTED_SINCE = 85
# https://github.com/citusdata/citus, src/backend/distributed/commands/table.c
_CARRIED = re.compile(
    r"(ADD|DROP) COLUMN |(ADD|DROP|VALIDATE) CONSTRAINT |ALTER (COLUMN )?\w+ (TYPE |(SET|DROP) (NOT NULL|DEFAULT))"
    r"|(ATTACH|DETACH) PARTITION "
)
_SWITCH = re.compile(r"SET LOCAL citus\.enable_ddl_propagation TO (off|on);")


def find_uncarried(text: str) -> list[str]:
    """Returns what a file changes in tables that Citus refuses to carry to the shards."""
    uncarried, carries = [], True
    for statement in split_statements(text):
        if switch := _SWITCH.search(statement):
            carries = switch[1] == "on"
        elif carries and (change := re.search(r"^ALTER TABLE \w+\s+(.+);", statement, re.DOTALL | re.MULTILINE)):
            parts = re.split(r",\s*(?=(?:ADD|ALTER|DROP|SET|VALIDATE)\b)", change[1])
            uncarried += [part for part in parts if not _CARRIED.match(part)]
    return uncarried


def test_later_files_change_tables_as_a_cluster_can() -> None:
    later = {number: find_uncarried(text) for number, text in steps() if number > DISTRIBUTED_SINCE}
    assert len(later) >= 3
    assert {number: parts for number, parts in later.items() if parts} == {}, "see decision 36"


@pytest.mark.parametrize(
    ("text", "uncarried"),
    [
        ("ALTER TABLE act ADD COLUMN a text,\n    ALTER b TYPE text;\n", []),
        ("-- Why.\nALTER TABLE act ALTER a TYPE text, ALTER a SET STATISTICS 0;\n", ["ALTER a SET STATISTICS 0"]),
        ("ALTER TABLE act ALTER COLUMN a SET STORAGE EXTERNAL;\n", ["ALTER COLUMN a SET STORAGE EXTERNAL"]),
        (
            (
                "SET LOCAL citus.enable_ddl_propagation TO off;\nALTER TABLE act ALTER a SET STATISTICS 0;\nSET LOCAL"
                " citus.enable_ddl_propagation TO on;\nALTER TABLE act RENAME TO acts;\n"
            ),
            ["RENAME TO acts"],
        ),
    ],
)
def test_what_a_cluster_refuses_is_found(text: str, uncarried: list[str]) -> None:
    assert find_uncarried(text) == uncarried


def test_each_file_is_split_into_whole_statements() -> None:
    for number, text in steps():
        statements = [*split_statements(text)]
        assert "".join(statements) == text, number
        openings = r"(?:--.*\n|\s)*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|DO|SET|WITH)\b"
        assert all(re.match(openings, statement) for statement in statements), number
    (function,) = [each for _, text in steps() for each in split_statements(text) if "CREATE FUNCTION" in each]
    assert function.count("$$") == 2
