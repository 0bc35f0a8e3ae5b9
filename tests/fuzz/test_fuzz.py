"""The fuzzer for a minute, in `make nightly`; `make fuzz ARGS="--seconds 600"` runs it longer."""

import importlib.util

import pytest

from fuzz.run import run, shares
from fuzz.targets import WEIGHTS

SECONDS = 36.0
"""For all targets together; each also takes a second to start."""


@pytest.mark.nightly
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is made for Linux on x86-64")
@pytest.mark.parametrize(("name", "seconds"), shares(SECONDS, list(WEIGHTS)).items())
def test_nothing_is_found(name: str, seconds: float) -> None:
    outcome = run(name, seconds)
    assert outcome.finding is None, f"{outcome.output}\nfound: {outcome.finding!r}"
    assert outcome.executions > 0, outcome.output
