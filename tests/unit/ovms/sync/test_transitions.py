"""The table of a view: every pair of phase and event leads where it says, or is an error."""

import itertools
from collections.abc import Callable

import pytest

from ovms.errors import StateError
from ovms.sync import (
    NO_VERSION,
    TRANSITIONS,
    Answer,
    Ask,
    Effect,
    Event,
    Locate,
    Missed,
    Phase,
    Read,
    Snapshot,
    Subscribe,
    Unsubscribe,
    Version,
    View,
)
from ovms.sync.transitions import ROWS, Action

POSITION = Version(5, 3)
REQUEST = 77

EFFECTS: dict[Action, type[Effect]] = {
    Action.SUBSCRIBE: Subscribe,
    Action.UNSUBSCRIBE: Unsubscribe,
    Action.LOCATE: Locate,
    Action.ASK: Ask,
    Action.READ: Read,
    Action.SNAPSHOT: Snapshot,
    Action.REPORT_MISSED: Missed,
}
"""Of the other two one may have an effect, which `test_view` shows, and one has none."""


def incomplete(view: View) -> list[Effect]:
    view._is_repeated = True
    return view.stored(REQUEST, ())


def complete_without_session(view: View) -> list[Effect]:
    view.position, view._session = NO_VERSION, 0
    return view.stored(REQUEST, ())


CALLS: dict[Event, Callable[[View], list[Effect]]] = {
    Event.SUBSCRIBED: lambda view: view.subscribed(),
    Event.UNSUBSCRIBED: lambda view: view.unsubscribed(),
    Event.LOCATED: lambda view: view.located(REQUEST, "a", 5),
    Event.NOT_LOCATED: lambda view: view.located(REQUEST, "", 0),
    Event.ANSWERED: lambda view: view.answered(REQUEST, Answer(POSITION, "", ())),
    Event.TIMED_OUT: lambda view: view.timed_out(REQUEST),
    Event.UNAVAILABLE: lambda view: view.unavailable(REQUEST),
    Event.COMPLETE: lambda view: view.stored(REQUEST, ()),
    Event.COMPLETE_WITHOUT_SESSION: complete_without_session,
    Event.INCOMPLETE: incomplete,
    Event.STALE: lambda view: view.timed_out(REQUEST - 1),
    Event.NEXT: lambda view: view.receive_other(Version(5, 4)),
    Event.KNOWN: lambda view: view.receive_other(Version(5, 3)),
    Event.AHEAD: lambda view: view.receive_other(Version(5, 5)),
    Event.LATER_SESSION: lambda view: view.receive_other(Version(6, 1)),
    Event.CONFIRMED: lambda view: view.receive_position(Version(5, 3)),
    Event.DIVERGED: lambda view: view.receive_position(Version(5, 4)),
    Event.SAME_SESSION: lambda view: view.receive_presence(5),
    Event.OTHER_SESSION: lambda view: view.receive_presence(6),
    Event.CHECK: lambda view: view.check(),
    Event.OVERDUE: lambda view: view.overdue(),
    Event.CAR_CONNECTED: lambda view: view.car_connected(Version(6, 0), "", ()),
    Event.CAR_DISCONNECTED: lambda view: view.car_disconnected(),
}

LOCAL = (Phase.LOCAL_READING, Phase.LOCAL)
POSITIONED = (Phase.READING, Phase.LIVE, *LOCAL)
IMPOSSIBLE = {
    *itertools.product(set(Phase) - set(POSITIONED), (Event.NEXT, Event.KNOWN, Event.AHEAD)),
    *((phase, Event.CONFIRMED) for phase in set(Phase) - set(POSITIONED)),
    *((phase, Event.INCOMPLETE) for phase in set(Phase) - {Phase.READING}),
    *((phase, Event.COMPLETE_WITHOUT_SESSION) for phase in LOCAL),
}
"""Pairs that no caller can bring about: without a position every message is of a later session, and a car here has one."""


def view_in(phase: Phase) -> View:
    view = View()
    view.phase, view._request, view._session = phase, REQUEST, 5
    view.position = POSITION if phase in POSITIONED else NO_VERSION
    return view


@pytest.mark.parametrize("event", Event, ids=lambda event: event.name)
def test_every_event_leads_from_each_phase_where_the_table_says_or_is_an_error(event: Event) -> None:
    for phase in set(Phase) - {phase for phase, other in IMPOSSIBLE if other is event}:
        view = view_in(phase)
        if (step := TRANSITIONS.get((phase, event))) is None:
            with pytest.raises(StateError, match=f"{phase.name} cannot take {event.name}"):
                CALLS[event](view)
        else:
            effects = CALLS[event](view)
            assert view.phase is step.phase, phase
            expected = [EFFECTS[action] for action in step.actions if action in EFFECTS]
            assert [
                type(effect) for effect in effects if not isinstance(effect, Read) or Action.READ in step.actions
            ] == expected


def test_no_pair_is_named_twice_and_none_that_cannot_happen() -> None:
    assert sum(len(phases) for phases, *_ in ROWS) == len(TRANSITIONS)
    assert not IMPOSSIBLE & set(TRANSITIONS)


def test_every_phase_is_reached_and_every_event_means_something() -> None:
    reached = {Phase.UNSUBSCRIBED}
    while more := {step.phase for (phase, _), step in TRANSITIONS.items() if phase in reached} - reached:
        reached |= more
    assert reached == set(Phase)
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {action for step in TRANSITIONS.values() for action in step.actions} == set(Action)


def test_a_result_of_a_request_that_is_no_longer_open_changes_no_phase() -> None:
    assert all(TRANSITIONS[phase, Event.STALE] == (phase, ()) for phase in Phase)


def test_a_view_waits_for_a_request_or_for_the_caller_in_every_phase() -> None:
    """What begins LOCATING, ASKING or READING makes its request: nothing can be forgotten there."""
    needs = {
        Phase.LOCATING: Action.LOCATE,
        Phase.ASKING: Action.ASK,
        Phase.READING: Action.READ,
        Phase.LOCAL_READING: Action.READ,
    }
    for (phase, event), step in TRANSITIONS.items():
        if step.phase is not phase and step.phase in needs:
            assert needs[step.phase] in step.actions, (phase, event)
