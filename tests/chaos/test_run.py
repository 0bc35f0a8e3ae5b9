"""When a run has settled."""

import asyncio
from typing import Any, cast

import pytest

from chaos import run as runs
from chaos.evidence import Evidence
from chaos.fleet import Fleet
from chaos.journal import Connected, Journal, StateSent, Welcomed
from chaos.sockets import CAR
from fixtures.replicas import Rig


class QuietFleet:
    """A fleet that does nothing."""

    vehicles = ("DEMO",)
    owners = ("owner1",)
    is_in = False

    def do_nothing(self) -> None:
        """Do nothing."""

    hush = last_states = last_commands = check = do_nothing


def test_tables_that_were_read_before_a_state_was_sent_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    journal = Journal(lambda: now)
    journal.events += [Connected(0.0, 1, CAR, "DEMO", "replica 1"), Welcomed(0.0, 1)]
    answers = [Evidence(), Evidence(owners={"DEMO": 1})]
    asked = 0

    async def gather(*_: Any) -> Evidence:
        nonlocal asked, now
        asked += 1
        if asked == 1:
            now = runs.CONVERGE_WITHIN + 0.1  # as where the loop is held up: the time is over when the answers are there
            journal.note(StateSent(now, 1, "S", 1))
        return answers[asked - 1]

    monkeypatch.setattr(runs, "gather", gather)
    monkeypatch.setattr(runs, "LOOK_EVERY", 0.0)
    settling = runs._settle(cast("Rig", None), cast("Fleet", QuietFleet()), journal, lambda _: None)
    assert asyncio.run(settling) is answers[1]
