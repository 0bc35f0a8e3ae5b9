"""The gateway keeps to its document: a short run of Schemathesis that is the same every time."""

import subprocess
from pathlib import Path

import pytest

from contract.run import check, two_owners

ALWAYS_THE_SAME = ("--generation-deterministic", "--no-color", "--no-shrink")


@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with two_owners(tmp_path) as stack:
        status, said = check(stack, tmp_path, ["-n", "5", *ALWAYS_THE_SAME], output=subprocess.PIPE)
    assert status == 0, said
