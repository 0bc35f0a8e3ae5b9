"""The tables of states: what is in them, and what follows from it."""

import itertools
from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest

from ovms.protocol.states import CLIENT_TRANSITIONS, TRANSITIONS, ClientInput, ClientState, Input, State

BOTH = pytest.mark.parametrize(
    ("table", "states", "inputs"),
    [(TRANSITIONS, State, Input), (CLIENT_TRANSITIONS, ClientState, ClientInput)],
    ids=["server", "client"],
)
Table = Mapping[tuple[Any, Any], Any]


@BOTH
def test_every_state_can_be_left_by_closing_and_closing_twice_is_allowed(
    table: Table, states: type[Enum], inputs: type[Enum]
) -> None:
    assert all(table[state, inputs["CLOSE"]] is states["CLOSED"] for state in states)


@BOTH
def test_a_closed_session_allows_nothing_else(table: Table, states: type[Enum], inputs: type[Enum]) -> None:
    assert [given for state, given in table if state is states["CLOSED"]] == [inputs["CLOSE"]]


@BOTH
def test_every_open_state_can_fail(table: Table, states: type[Enum], inputs: type[Enum]) -> None:
    is_failing = {state for state, given in table if given is inputs["FAIL"]}
    assert is_failing == set(states) - {states["CLOSED"]}


@BOTH
def test_every_state_is_reached_and_every_input_means_something(table: Table, states: type[Enum], inputs: type[Enum]) -> None:
    first = next(iter(states))
    reached = {first}
    while more := {following for (state, _), following in table.items() if state in reached} - reached:
        reached |= more
    assert reached == set(states)
    assert {given for _, given in table} == set(inputs)


@BOTH
def test_a_message_is_sent_when_ready_only(table: Table, states: type[Enum], inputs: type[Enum]) -> None:
    allowed = [pair for pair in itertools.product(states, [inputs["SEND"]]) if pair in table]
    assert allowed == [(states["READY"], inputs["SEND"])]
