"""What becomes of a command: every state with every input."""

from itertools import product

import pytest

from api_gateway.commands.states import OPEN, TRANSITIONS, CommandState, Input, origins, target
from ovms.bus.interface import COMMAND_STATES
from ovms.db.tables import commands

# Read: in this state, on this input, it becomes that. All other pairs change nothing.
EXPECTED = """
queued send      sent
queued miss      failed
queued expire    expired
queued cancel    cancelled
sent   keep      queued
sent   miss      failed
sent   succeed   succeeded
sent   fail      failed
sent   lack      unsupported
sent   lose      unknown
"""
STEPS = {
    (CommandState(state), Input(given)): CommandState(then)
    for state, given, then in map(str.split, EXPECTED.strip().splitlines())
}


@pytest.mark.parametrize(("state", "given"), list(product(CommandState, Input)))
def test_every_pair(state: CommandState, given: Input) -> None:
    expected = STEPS.get((state, given))
    assert TRANSITIONS.get((state, given)) == expected
    assert (state in origins(given)) == (expected is not None)
    if expected is not None:
        assert target(given) == expected


def test_what_is_over_stays_so_and_all_else_can_end() -> None:
    assert {state for state, _ in TRANSITIONS} == set(OPEN)
    assert set(TRANSITIONS.values()) == set(CommandState)
    for state in OPEN:
        assert any(then not in OPEN for (origin, _), then in TRANSITIONS.items() if origin is state)


def test_what_was_perhaps_told_is_never_told_again() -> None:
    assert origins(Input.SEND) == ["queued"]
    assert [given for (_, given), then in TRANSITIONS.items() if then is CommandState.QUEUED] == [Input.KEEP]


def test_the_states_are_those_of_the_table_and_of_the_channel() -> None:
    assert tuple(CommandState) == COMMAND_STATES
    [check] = [one for one in commands.constraints if one.name == "ck_commands_state"]
    assert str(check.sqltext) == "state IN ({})".format(", ".join(f"'{state}'" for state in CommandState))  # type: ignore[attr-defined]
