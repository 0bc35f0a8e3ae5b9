"""A checker that cannot fail is worthless: every violation is put into a history that was right, and must be found."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chaos.checks import ALWAYS, IN_THE_END, KNOWN_FAULTS, record_data, state_data, violations
from chaos.evidence import Counts, Evidence, crashes
from chaos.excuses import Excuses
from chaos.journal import (
    Called,
    Calm,
    CommandAnswered,
    CommandDelivered,
    CommandSent,
    Connected,
    Counted,
    Doubled,
    Drained,
    Ended,
    Event,
    Faulted,
    Held,
    Lost,
    RecordAcknowledged,
    RecordMade,
    Settled,
    SignedIn,
    StateHeard,
    StateRead,
    StateSent,
    StateStreamed,
    StreamEnded,
    StreamOpened,
    Watching,
    Welcomed,
)
from chaos.plan import DRAIN, KILL, PAUSE, POSTGRES, REDIS, RESTART

HERE, THERE = "replica 1", "replica 2"
CAR, APP, NEWER, STREAM = 1, 2, 3, 4
"""Sockets, and an event stream."""


def calm() -> list[Event]:
    """A car, an app at another replica and an HTTP client; nothing has failed."""
    return [
        Connected(1.0, CAR, "C", "DEMO", HERE),
        Welcomed(1.1, CAR),
        Counted(1.1, CAR, 0),
        StateSent(1.2, CAR, "V", 1),
        StateSent(1.2, CAR, "S", 2),
        Connected(2.0, APP, "A", "DEMO", THERE),
        Welcomed(2.1, APP),
        Counted(2.1, APP, 1),
        Counted(2.1, CAR, 1),
        StateHeard(2.1, APP, "S", 2, CAR),
        StateHeard(2.1, APP, "V", 1, CAR),
        SignedIn(3.0, "owner"),
        Called(3.0, 3.1, "owner", "gateway 1", "/api/vehicle/DEMO", 200, False),
        Watching(3.1, "owner", "DEMO"),
        Counted(3.2, CAR, 2),
        StateRead(3.2, 3.3, "DEMO", "S", 2),
        StreamOpened(3.5, STREAM, "owner", "gateway 1", ("DEMO",)),
        StateStreamed(3.6, STREAM, "DEMO", "S", 2),
        StateStreamed(3.6, STREAM, "DEMO", "V", 1),
        RecordMade(4.0, "DEMO", 1),
        RecordAcknowledged(4.2, "DEMO", 1),
        CommandSent(5.0, APP, 1),
        CommandDelivered(5.1, CAR, 1),
        CommandAnswered(5.2, APP, 1),
        Settled(20.0),
        StateSent(20.1, CAR, "S", 3),
        StateHeard(20.2, APP, "S", 3, CAR),
        StateStreamed(20.2, STREAM, "DEMO", "S", 3),
        Calm(20.3),
        CommandSent(20.3, APP, 2),
        CommandDelivered(20.4, CAR, 2),
        CommandAnswered(20.5, APP, 2),
        Counted(30.0, CAR, 2),
    ]


def evidence() -> Evidence:
    """What the servers say after it."""
    return Evidence(
        states={("DEMO", "V"): state_data(1, CAR, "DEMO", "V"), ("DEMO", "S"): state_data(3, CAR, "DEMO", "S")},
        records=[("DEMO", 1, record_data(1, "DEMO"))],
        counts={"api-gateway-1": {"DEMO": Counts(1, 2, 0)}, "api-gateway-2": {"DEMO": Counts(1, 2, 0)}},
        owners={"DEMO": 1},
        crashes={"car-protocol-1": []},
    )


def moved(*, closed_after: float = 0.5, begun: float = 10.0) -> list[Event]:
    """The car has gone from one replica to the other; its old socket, left open, is closed so much later."""
    session: list[Event] = [
        Connected(begun, NEWER, "C", "DEMO", THERE),
        Welcomed(begun + 0.1, NEWER),
        Counted(begun + 0.1, NEWER, 2),
        StateSent(begun + 0.2, NEWER, "V", 10),
        StateHeard(begun + 0.2, APP, "V", 10, NEWER),
        StateStreamed(begun + 0.2, STREAM, "DEMO", "V", 10),
        Lost(begun + 0.1 + closed_after, CAR, True, "closed"),
    ]
    return [
        *before(Settled, *session),
        StateSent(30.1, NEWER, "S", 11),
        StateHeard(30.2, APP, "S", 11, NEWER),
        StateStreamed(30.2, STREAM, "DEMO", "S", 11),
    ]


def after_the_move() -> Evidence:
    found = evidence()
    found.states = {("DEMO", "V"): state_data(10, NEWER, "DEMO", "V"), ("DEMO", "S"): state_data(11, NEWER, "DEMO", "S")}
    return found


def before(kind: type[Event], *events: Event) -> list[Event]:
    """The calm history with events before the first of a kind, in the order of their times."""
    history = calm()
    place = next(index for index, event in enumerate(history) if isinstance(event, kind))
    return history[:place] + list(events) + history[place:]


def without(kind: type[Event], history: Sequence[Event] = ()) -> list[Event]:
    """The calm history without the last event of a kind."""
    history = list(history) or calm()
    place = max(index for index, event in enumerate(history) if isinstance(event, kind))
    return history[:place] + history[place + 1 :]


def found(history: Sequence[Event], seen: Evidence | None = None) -> set[str]:
    """The invariants that do not hold."""
    return {violation.invariant for violation in violations(history, seen or evidence())}


def call(status: int, *, began: float = 12.0, has_retry_after: bool = False, how: str = "") -> Called:
    return Called(began, began + 0.1, "owner", "gateway 1", "/api/vehicle/DEMO", status, has_retry_after, how)


def fault(kind: str, target: str, began: float = 11.0, until: float = 13.0) -> Faulted:
    return Faulted(began, until, kind, target)


def test_a_history_that_is_right_has_no_violations() -> None:
    assert found(calm()) == set()


def test_a_car_may_move() -> None:
    assert found(moved(), after_the_move()) == set()


WRONG: dict[str, list[Event]] = {
    "commands are delivered once": before(Settled, CommandDelivered(5.3, CAR, 1)),
    "commands are delivered once ": before(Settled, CommandAnswered(5.3, APP, 1)),
    "answers are for who asked": before(Settled, CommandDelivered(5.3, CAR, 99)),
    "nobody is closed before the welcome": before(Settled, Connected(9.0, 9, "A", "DEMO", HERE), Lost(9.1, 9, True, "closed")),
    "sessions end for a cause": before(
        Settled, Connected(9.0, 9, "B", "DEMO", HERE), Welcomed(9.1, 9), Lost(9.2, 9, True, "closed")
    ),
    "apps hear in order": before(Settled, StateHeard(9.0, APP, "S", 1, CAR)),
    "stored states never go back": before(Settled, StateRead(3.4, 3.5, "DEMO", "S", 1)),
    "streams send in order": before(Settled, StateStreamed(9.0, STREAM, "DEMO", "S", 1)),
    "streams end for a cause": before(Settled, StreamEnded(9.0, STREAM, "its end")),
    "last states are streamed": without(StateStreamed),
    "last states are streamed ": [event for event in calm() if not isinstance(event, StateStreamed)],
    "calls are answered": before(Settled, call(500)),
    "programs run": before(Settled, Ended(9.0, "replica 1", "status 1")),
    "programs run ": before(Settled, Drained(9.0, "replica 1", 1, 2.0)),
    "programs run  ": before(Settled, Drained(9.0, "replica 1", 0, 13.0)),
    "records are kept once": before(Settled, RecordMade(9.0, "DEMO", 2), RecordAcknowledged(9.0, "DEMO", 2)),
    "records are acknowledged": before(Settled, RecordMade(9.0, "DEMO", 2)),
    "last commands are answered": without(CommandAnswered),
    "last states are heard": without(StateHeard),
    "last states are heard ": [event for event in calm() if not (isinstance(event, StateHeard) and event.code == "V")],
    "everybody is in again": without(Settled),
    "counts are right": [*calm(), Counted(30.1, CAR, 1)],
    "counts are right ": [*calm(), Counted(30.1, APP, 0)],
    "counts are right  ": before(Settled, SignedIn(9.0, "owner")),
}


@pytest.mark.parametrize("invariant", WRONG)
def test_what_peers_saw_is_judged(invariant: str) -> None:
    assert found(WRONG[invariant]) == {invariant.rstrip()}


def _change(what: Callable[[Evidence], None]) -> Evidence:
    seen = evidence()
    what(seen)
    return seen


WRONG_EVIDENCE: dict[str, Callable[[Evidence], None]] = {
    "records are kept once": lambda seen: seen.records.clear(),
    "records are kept once ": lambda seen: seen.records.append(seen.records[0]),
    "records are kept once  ": lambda seen: seen.records.append(("DEMO", 7, record_data(7, "DEMO"))),
    "records are kept once   ": lambda seen: seen.records.__setitem__(0, ("DEMO", 1, b"else")),
    "last states are stored": lambda seen: seen.states.update({("DEMO", "S"): state_data(2, CAR, "DEMO", "S")}),
    "last states are stored ": lambda seen: seen.states.clear(),
    "counts are right": lambda seen: seen.counts["api-gateway-2"].update({"DEMO": Counts(1, 1, 0)}),
    "counts are right ": lambda seen: seen.counts["api-gateway-2"].update({"DEMO": Counts(0, 2, 0)}),
    "counts are right  ": lambda seen: seen.counts["api-gateway-2"].clear(),
    "one session is left": lambda seen: seen.owners.update(DEMO=2),
    "one session is left ": lambda seen: seen.owners.update(DEMO=0),
    "programs run": lambda seen: seen.crashes["car-protocol-1"].append("Traceback (most recent call last):"),
}


@pytest.mark.parametrize("invariant", WRONG_EVIDENCE)
def test_what_servers_say_is_judged(invariant: str) -> None:
    assert found(calm(), _change(WRONG_EVIDENCE[invariant])) == {invariant.rstrip()}


def test_every_invariant_is_tried() -> None:
    tried = {name.rstrip() for name in (*WRONG, *WRONG_EVIDENCE)} | {"a car has one owner"}
    assert tried == {check.__name__.replace("_", " ") for check in ALWAYS + IN_THE_END}


# ---- takeovers


def test_the_former_owner_has_a_second() -> None:
    assert found(moved(closed_after=1.2), after_the_move()) == {"a car has one owner"}


@pytest.mark.parametrize(
    "excuse", [fault(PAUSE, REDIS, 9.0, 11.0), fault(PAUSE, HERE, 9.0, 11.0), fault(KILL, THERE, 9.0, 10.9), Held(10.9, 0.9)]
)
def test_what_holds_a_takeover_up_is_a_fault_of_who_takes_part(excuse: Event) -> None:
    assert found([*moved(closed_after=1.7), excuse], after_the_move()) == set()


@pytest.mark.parametrize(
    "no_excuse", [fault(PAUSE, POSTGRES, 9.0, 11.0), fault(PAUSE, "replica 3", 9.0, 11.0), fault(PAUSE, HERE, 5.0, 6.0)]
)
def test_other_faults_do_not(no_excuse: Event) -> None:
    assert found([*moved(closed_after=1.7), no_excuse], after_the_move()) == {"a car has one owner"}


def test_an_older_session_that_wins_is_no_owner_either() -> None:
    history = without(Lost, moved())
    assert found(history, after_the_move()) == {"a car has one owner", "one session is left"}


def test_who_does_not_come_back_is_missed() -> None:
    history = before(Settled, Lost(15.0, CAR, False, "cut"))
    assert found(history) == {"one session is left", "counts are right"}


# ---- what is an excuse, and what is none


def closed_before_the_welcome() -> list[Event]:
    return before(Settled, Connected(11.5, 9, "C", "DEMO", HERE), Lost(12.0, 9, True, "closed"))


@pytest.mark.parametrize(
    ("excuse", "holds"),
    [
        (fault(KILL, HERE, 11.9), True),
        (fault(KILL, HERE, 12.1), False),
        (fault(KILL, THERE, 11.9), False),
        (fault(DRAIN, HERE, 11.9), False),
        (fault(PAUSE, HERE, 11.9), False),
        (fault(KILL, POSTGRES, 11.9), False),
    ],
)
def test_before_the_welcome_only_a_kill_may_close(excuse: Event, holds: bool) -> None:
    assert found([*closed_before_the_welcome(), excuse]) == (set() if holds else {"nobody is closed before the welcome"})


def ended(*, role: str = "A") -> list[Event]:
    return before(Settled, Connected(11.0, 9, role, "DEMO", HERE), Welcomed(11.1, 9), Lost(12.0, 9, True, "closed"))


@pytest.mark.parametrize(
    ("excuse", "holds"),
    [
        (fault(KILL, HERE, 11.9), True),
        (fault(DRAIN, HERE, 11.9), True),
        (fault(DRAIN, HERE, 8.0, 9.0), False),
        (fault(KILL, THERE, 11.9), False),
        (fault(PAUSE, HERE, 11.9), False),
        (fault(KILL, REDIS, 11.9), False),
        (fault(KILL, POSTGRES, 11.9), False),
    ],
)
def test_stores_that_are_away_end_no_session(excuse: Event, holds: bool) -> None:
    assert found([*ended(), excuse]) == (set() if holds else {"sessions end for a cause"})


def test_an_older_login_of_the_car_is_no_cause() -> None:
    history = moved()
    assert found(history, after_the_move()) == set()
    late = [replace(event, at=0.5) if isinstance(event, Connected) and event.socket == NEWER else event for event in history]
    late = [event for event in late if not (isinstance(event, Welcomed | Counted | StateSent) and event.socket == NEWER)]
    assert "sessions end for a cause" in found(late, after_the_move())
    # But one that its replica had before it hung.
    assert "sessions end for a cause" not in found([*late, fault(PAUSE, THERE, 0.6, 10.5)], after_the_move())
    assert "sessions end for a cause" in found([*late, fault(PAUSE, HERE, 0.6, 10.5)], after_the_move())


HUNG = fault(PAUSE, REDIS, 0.5, 8.5), fault(PAUSE, HERE, 0.5, 8.8)


@pytest.mark.parametrize(
    ("faults", "holds"),
    [
        (HUNG, True),
        (HUNG[:1], False),
        (HUNG[1:], False),
        ((HUNG[0], fault(PAUSE, THERE, 0.5, 8.8)), False),
        ((HUNG[0], fault(KILL, HERE, 0.5, 8.8)), False),
        ((HUNG[0], fault(PAUSE, HERE, 10.0, 20.0)), False),
    ],
)
def test_who_comes_while_redis_and_the_replica_of_his_car_hang_may_hear_late_what_they_held_up(
    faults: Sequence[Event], holds: bool
) -> None:
    late = StateHeard(9.0, APP, "S", 1, CAR)
    assert ("apps hear in order" not in found([*before(Settled, late), *faults])) == holds


@pytest.mark.parametrize(("connected", "holds"), [(1.0, True), (10.05, True), (10.15, False)])
def test_of_two_that_log_in_at_once_either_may_be_the_newer(connected: float, holds: bool) -> None:
    """The one that is closed was let in last: it had waited, or what it was told took longer to come."""
    seen = moved()
    seen = [replace(event, at=connected) if isinstance(event, Connected) and event.socket == CAR else event for event in seen]
    seen = [replace(event, at=10.2) if isinstance(event, Welcomed) and event.socket == CAR else event for event in seen]
    assert ("sessions end for a cause" not in found(seen, after_the_move())) == holds


@pytest.mark.parametrize(
    ("called", "excuse", "holds"),
    [
        (call(0, how="ReadTimeout"), None, False),
        (call(0, how="ConnectError"), fault(KILL, "gateway 1"), True),
        (call(0, how="ConnectError"), fault(KILL, "gateway 2"), False),
        (call(0, how="ReadTimeout"), fault(PAUSE, POSTGRES), False),
        (call(500), fault(KILL, POSTGRES), False),
        (call(404), fault(KILL, REDIS), False),
        (call(502, has_retry_after=True), fault(KILL, REDIS), False),
        (call(503, has_retry_after=True), None, False),
        (call(503, has_retry_after=True), fault(PAUSE, REDIS), True),
        (call(503, has_retry_after=True), fault(RESTART, POSTGRES), True),
        (call(503, has_retry_after=False), fault(RESTART, POSTGRES), False),
        (call(503, has_retry_after=True, began=19.0), fault(RESTART, POSTGRES), False),
        (call(503, has_retry_after=True), fault(KILL, HERE), False),
    ],
)
def test_calls(called: Called, excuse: Event | None, holds: bool) -> None:
    history = before(Settled, called) + ([excuse] if excuse else [])
    assert found(history) == (set() if holds else {"calls are answered"})


@pytest.mark.parametrize(
    ("excuse", "holds"),
    [
        (fault(KILL, REDIS), True),
        (fault(KILL, REDIS, 1.0, 2.0), False),
        (fault(RESTART, REDIS), False),
        (fault(PAUSE, REDIS), False),
        (fault(KILL, POSTGRES), False),
    ],
)
def test_a_session_is_lost_only_with_what_redis_held(excuse: Event, holds: bool) -> None:
    again: list[Event] = [SignedIn(14.0, "owner"), Watching(14.1, "owner", "DEMO")]
    history = before(Settled, call(401), *again)
    assert found([*history, excuse]) == (set() if holds else {"calls are answered"})


def test_two_modules_have_numbers_of_their_own() -> None:
    assert found([*WRONG["stored states never go back"], Doubled(2.0, "DEMO")]) == set()


@pytest.mark.parametrize(
    ("number", "is_doubled", "holds"), [(1, False, False), (1, True, True), (10, False, True), (10, True, True)]
)
def test_streams_send_in_order_across_sessions_of_one_module(number: int, is_doubled: bool, holds: bool) -> None:
    late = [*moved(), StateStreamed(31.0, STREAM, "DEMO", "V", number), StateStreamed(31.1, STREAM, "DEMO", "V", 10)]
    doubled = [Doubled(2.0, "DEMO")] if is_doubled else []
    assert found([*late, *doubled], after_the_move()) == (set() if holds else {"streams send in order"})


def test_streams_of_two_modules_send_in_order_within_a_session() -> None:
    late = before(Settled, Doubled(2.0, "DEMO"), StateSent(9.0, CAR, "S", 1), StateStreamed(9.1, STREAM, "DEMO", "S", 1))
    assert found(late) == {"streams send in order"}


def test_another_stream_may_begin_with_an_older_state() -> None:
    again: list[Event] = [
        StreamOpened(12.0, 9, "owner", "gateway 2", ("DEMO",)),
        StateStreamed(12.1, 9, "DEMO", "S", 1),
        StateStreamed(12.2, 9, "DEMO", "S", 2),
    ]
    assert found(before(Settled, *again)) == set()


@pytest.mark.parametrize(
    ("excuse", "holds"),
    [
        (fault(KILL, "gateway 1", 8.9), True),
        (fault(DRAIN, "gateway 1", 8.9), True),
        (fault(KILL, "gateway 2", 8.9), False),
        (fault(KILL, REDIS, 8.9), True),
        (fault(PAUSE, POSTGRES, 8.9), True),
        (fault(PAUSE, POSTGRES, 9.1), False),
        (fault(PAUSE, POSTGRES, 2.0, 3.0), False),
        (fault(KILL, HERE, 8.9), False),
        (fault(PAUSE, HERE, 8.9), False),
    ],
)
def test_a_stream_ends_with_its_gateway_or_where_its_reader_cannot_be_checked(excuse: Event, holds: bool) -> None:
    assert found([*WRONG["streams end for a cause"], excuse]) == (set() if holds else {"streams end for a cause"})


def test_a_known_fault_is_an_invariant_that_is_checked() -> None:
    assert KNOWN_FAULTS.keys() <= {check.__name__.replace("_", " ") for check in ALWAYS + IN_THE_END}


def test_a_record_of_a_module_that_has_left_may_stay_unacknowledged() -> None:
    assert found(before(Settled, RecordMade(9.0, "DEMO", 2, leaves=True))) == set()


def test_a_state_of_an_older_session_may_be_lost_but_not_be_made_up() -> None:
    history, seen = moved(), after_the_move()
    history = [event for event in history if not (isinstance(event, StateSent) and (event.socket, event.code) == (NEWER, "V"))]
    seen.states["DEMO", "V"] = state_data(1, CAR, "DEMO", "V")
    assert found(history, seen) == set()
    seen.states["DEMO", "V"] = state_data(5, CAR, "DEMO", "V")
    assert found(history, seen) == {"last states are stored"}


def test_crashes_are_found_in_logs() -> None:
    log = "12 [info     ] closed\n13 [warning  ] Redis is away\n14 [error    ] a part of the service has died\nTraceback (most"
    assert len(crashes(log)) == 2


def test_a_command_may_be_lost_while_replicas_find_redis_again() -> None:
    assert found(before(Calm, CommandSent(20.2, APP, 7))) == set()


# ---- when everything must have come right


@pytest.mark.parametrize(
    ("faults", "from_when"),
    [
        ([], 0.0),
        ([fault(KILL, POSTGRES), fault(PAUSE, HERE)], 0.0),
        ([fault(KILL, REDIS, 11.0, 13.0)], 18.0),
        # What hangs before it has recovered goes on recovering when it runs again, and no longer than it had left.
        ([fault(KILL, REDIS, 11.0, 13.0), fault(PAUSE, HERE, 14.0, 16.0)], 20.0),
        ([fault(KILL, REDIS, 11.0, 13.0), fault(PAUSE, HERE, 14.0, 16.0), fault(PAUSE, HERE, 17.0, 26.0)], 29.0),
        ([fault(KILL, REDIS, 11.0, 13.0), fault(PAUSE, HERE, 14.0, 16.0), fault(PAUSE, THERE, 17.0, 20.0)], 21.0),
        ([fault(KILL, REDIS, 11.0, 13.0), fault(PAUSE, HERE, 18.0, 24.0)], 18.0),
        # A replica that hung while Redis was away finds it back when it goes on.
        ([fault(KILL, REDIS, 11.0, 13.0), fault(PAUSE, HERE, 12.0, 30.0)], 35.0),
        ([fault(KILL, REDIS, 11.0, 13.0), fault(KILL, HERE, 12.0, 30.0)], 18.0),
        # A replica that hung past its lease has a new name when it goes on.
        ([fault(PAUSE, HERE, 12.0, 22.0)], 27.0),
        ([fault(PAUSE, POSTGRES, 12.0, 30.0)], 0.0),
    ],
)
def test_commands_are_expected_to_arrive_once_redis_has_been_back_for_all(faults: list[Event], from_when: float) -> None:
    assert Excuses(faults).calm_from() == from_when
