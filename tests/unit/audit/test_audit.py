"""What the reports of the tools are taken for."""

from typing import Any

import pytest

from audit.bill import differences
from audit.lists import LISTS, SERVICES, pinned
from audit.vulnerabilities import FOUND, UNKNOWN, judge, unreached

FLAW = {"id": "PYSEC-1", "fix_versions": ["2.1"]}
CLEAN = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [FLAW]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3)"}


@pytest.mark.parametrize(
    ("packages", "status", "first"),
    [
        ([CLEAN], 0, "no vulnerability is known of 1 of 1 packages"),
        ([CLEAN, FLAWED], FOUND, "b 2: PYSEC-1, fixed in 2.1"),
        ([CLEAN, SKIPPED], UNKNOWN, "no vulnerability is known of 1 of 2 packages"),
        ([FLAWED, SKIPPED], FOUND, "b 2: PYSEC-1, fixed in 2.1"),
    ],
)
def test_what_was_not_looked_at_is_no_pass(packages: list[Any], status: int, first: str) -> None:
    verdict = judge({"dependencies": packages})
    assert (verdict.status, verdict.lines[0]) == (status, first)
    assert any("nothing is known of 1 of 2" in line for line in verdict.lines) == (SKIPPED in packages)


@pytest.mark.parametrize("words", ["Traceback\nConnectionError: no route", ""])
def test_a_service_that_is_not_reached_is_no_pass(words: str) -> None:
    verdict = unreached(words)
    assert verdict.status == UNKNOWN
    assert "could not be asked" in verdict.lines[0]


PART = {"name": "A.b", "version": "1", "externalReferences": [{"hashes": [{"alg": "SHA-256", "content": "00"}]}]}


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ([PART], []),
        ([], ["a-b: 1 listed, None in the bill"]),
        ([PART | {"version": "2"}], ["a-b: 1 listed, 2 in the bill"]),
        ([PART, PART | {"name": "c"}], ["c: None listed, 1 in the bill"]),
        ([PART | {"externalReferences": []}], ["A.b: without a hash"]),
    ],
)
def test_a_bill_says_what_the_list_says(components: list[Any], expected: list[str]) -> None:
    assert differences(pinned("a_b==1 \\\n    --hash=sha256:00\n"), {"components": components}) == expected


@pytest.mark.parametrize("service", SERVICES)
def test_the_lists_of_the_services_are_read(service: str) -> None:
    listed = pinned((LISTS / f"{service}.txt").read_text())
    assert {"asyncpg", "cryptography", "redis"} <= listed.keys()
    assert len(listed) == (LISTS / f"{service}.txt").read_text().count("==")
