"""What a view delivers, asks for and shows."""

import random

from hypothesis import given
from hypothesis import strategies as st

from ovms.sync import (
    NO_VERSION,
    Answer,
    Ask,
    Deliver,
    DeliverToken,
    Effect,
    Locate,
    Missed,
    Phase,
    Read,
    Row,
    Snapshot,
    Subscribe,
    Unsubscribe,
    Version,
    View,
)
from ovms.sync.view import LONGEST_KEPT

FIRST = Version(5, 1)


def row(text: str, session: int = 5, number: int = 1, key: str | None = None) -> Row:
    return Row(text.encode(), 1000.0, key, Version(session, number))


def delivered(effects: list[Effect]) -> list[str]:
    return [one.message.decode() for effect in effects if isinstance(effect, Deliver) for one in effect.rows]


def request_of(effects: list[Effect]) -> int:
    [request] = [effect.request for effect in effects if isinstance(effect, Locate | Ask | Read)]
    return request


def live_view(number: int = 0, *rows: Row, token: str = "") -> View:
    """A view that is LIVE at number `number` of session 5."""
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    effects = view.answered(request_of(effects), Answer(Version(5, number), token, ()))
    view.stored(request_of(effects), rows)
    assert view.phase is Phase.LIVE
    return view


# ---- from the subscription to the snapshot


def test_a_view_locates_the_replica_asks_it_and_reads_postgresql() -> None:
    view = View()
    assert view.subscribed() == [Locate(1)]
    assert view.located(1, "a", 5) == [Ask(2, "a")]
    answer = Answer(Version(5, 7), "", (row("S75", number=7),))
    assert view.answered(2, answer) == [Deliver([row("S75", number=7)]), Read(3)]
    assert not view.is_complete
    assert view.stored(3, [row("S74", number=4), row("D1", number=2)]) == [Deliver([row("D1", number=2)]), Snapshot()]
    assert (view.phase, view.position, view.is_complete) == (Phase.LIVE, Version(5, 7), True)
    assert [one.message for one in view.shown()] == [b"S75", b"D1"]


def test_without_a_replica_postgresql_has_everything() -> None:
    view = View()
    assert view.located(request_of(view.subscribed()), "", 0) == [Read(2)]
    view.stored(2, [row("S74")])
    assert (view.phase, view.is_complete) == (Phase.STORED, True)


def test_the_order_for_clients_is_firmware_state_and_the_others_by_code() -> None:
    view = View()
    view.subscribed()
    effects = view.merge([row(code) for code in "DSWFL"])
    assert delivered(effects) == ["F", "S", "D", "L", "W"]
    assert [one.message for one in view.shown()] == [b"F", b"S", b"D", b"L", b"W"]


def test_what_is_received_while_the_question_is_open_moves_the_position_on() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    for number in (3, 4, 6, 7):  # 5 is lost, and covered by the answer
        view.receive_other(Version(5, number))
    effects = view.answered(request_of(effects), Answer(Version(5, 6), "", ()))
    assert Missed() not in effects
    view.receive_other(Version(5, 8))
    view.stored(request_of(effects), ())
    assert (view.phase, view.position) == (Phase.LIVE, Version(5, 8))


def test_a_number_that_neither_the_answer_nor_a_message_covers_repeats_the_question() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    view.receive_other(Version(5, 9))
    effects = view.answered(request_of(effects), Answer(Version(5, 6), "", ()))
    assert Missed() in effects
    effects = view.stored(request_of(effects), ())
    assert [type(effect) for effect in effects] == [Snapshot, Locate]


def test_a_loss_while_postgresql_is_read_is_reported_once() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    view.answered(request_of(effects), Answer(Version(5, 0), "", ()))
    effects = [effect for number in (2, 3, 4) for effect in view.receive_other(Version(5, number))]
    assert effects == [Missed()]


def test_presence_that_changes_while_presence_is_read_repeats_the_question() -> None:
    view = View()
    locate = request_of(view.subscribed())
    view.receive_presence(6)
    effects = view.located(locate, "a", 5)  # read before that
    effects = view.answered(request_of(effects), Answer(Version(5, 0), "", ()))
    assert isinstance(view.stored(request_of(effects), ())[-1], Locate)


def test_a_replica_that_has_claimed_the_car_and_does_not_have_it_yet_is_asked_again() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 6)
    effects = view.answered(request_of(effects), Answer(NO_VERSION, "", ()))
    assert isinstance(view.stored(request_of(effects), ())[-1], Locate)
    assert view.phase is Phase.LOCATING


def test_an_answer_of_a_later_session_than_presence_reports_is_complete() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    effects = view.answered(request_of(effects), Answer(Version(6, 2), "", ()))
    view.stored(request_of(effects), ())
    assert view.phase is Phase.LIVE
    assert view.receive_presence(6) == []


def test_presence_of_the_same_session_changes_nothing() -> None:
    view = live_view()
    assert view.receive_presence(5) == []
    assert view.phase is Phase.LIVE


# ---- late results


def test_a_late_answer_is_merged_and_completes_nothing() -> None:
    view = View()
    ask = request_of(view.located(request_of(view.subscribed()), "a", 5))
    locate = request_of(view.timed_out(ask))
    assert view.answered(ask, Answer(Version(5, 9), "", (row("S75"),))) == [Deliver([row("S75")])]
    assert (view.phase, view.position) == (Phase.LOCATING, NO_VERSION)
    assert view.timed_out(ask) == []
    assert isinstance(view.located(locate, "a", 5)[0], Ask)


def test_a_read_that_began_before_the_subscription_was_lost_completes_nothing() -> None:
    view = View()
    read = request_of(view.located(request_of(view.subscribed()), "", 0))
    view.unsubscribed()
    assert view.stored(read, [row("S75")]) == [Deliver([row("S75")])]
    assert view.phase is Phase.UNSUBSCRIBED
    assert view.position == NO_VERSION


def test_results_that_come_twice_change_nothing() -> None:
    view = View()
    locate = request_of(view.subscribed())
    ask = request_of(view.located(locate, "a", 5))
    assert view.located(locate, "b", 6) == []
    answer = Answer(Version(5, 9), "", (row("S75"),))
    read = request_of(view.answered(ask, answer))
    assert view.answered(ask, answer) == []
    view.stored(read, ())
    assert view.stored(read, ()) == []
    assert view.phase is Phase.LIVE


# ---- live


def test_the_next_message_is_delivered_and_moves_the_position() -> None:
    view = live_view()
    assert view.receive_state(row("S75")) == [Deliver((row("S75"),))]
    assert view.position == FIRST


def test_a_repeated_or_earlier_message_is_dropped_and_an_earlier_session_s_newest_of_its_code_is_delivered() -> None:
    view = live_view(0, row("D1", session=3))
    view.receive_state(row("S75"))
    assert view.receive_state(row("S75")) == []
    assert view.receive_state(row("S70", session=4, number=9)) == []
    assert delivered(view.receive_state(row("D2", session=4, number=9))) == ["D2"]
    assert (view.phase, view.position) == (Phase.LIVE, FIRST)


def test_a_row_that_is_read_never_replaces_a_later_one_that_was_delivered() -> None:
    """The car's replica crashes before it has written what a watcher has received."""
    view = live_view(1, row("S75", number=1))
    view.receive_state(row("S76", number=2))
    effects = view.located(request_of(view.receive_presence(0)), "", 0)
    assert delivered(view.stored(request_of(effects), [row("S75", number=1)])) == []
    assert [one.message for one in view.shown()] == [b"S76"]


def test_a_jump_in_the_numbers_is_delivered_reported_and_asked_about() -> None:
    view = live_view()
    effects = view.receive_state(row("S75", number=2))
    assert [type(effect) for effect in effects] == [Deliver, Missed, Locate]
    assert view.position == NO_VERSION


def test_the_first_message_of_a_session_after_none_is_no_loss() -> None:
    view = View()
    view.stored(request_of(view.located(request_of(view.subscribed()), "", 0)), ())
    effects = view.receive_state(row("S75", session=6))
    assert [type(effect) for effect in effects] == [Deliver, Locate]


# ---- the car here


def test_a_car_that_connects_here_needs_no_channel_and_its_messages_follow() -> None:
    view = live_view(3)
    effects = view.car_connected(Version(6, 0), "", [row("D1", session=4)])
    assert [type(effect) for effect in effects] == [Deliver, Unsubscribe, Read]
    assert delivered(view.receive_state(row("S75", session=6))) == ["S75"]
    assert view.stored(request_of(effects), [row("S70", session=5, number=3)]) == [Snapshot()]
    assert (view.phase, view.position) == (Phase.LOCAL, Version(6, 1))
    assert view.car_disconnected() == [Subscribe()]
    assert (view.phase, view.position) == (Phase.UNSUBSCRIBED, NO_VERSION)


def test_a_view_that_begins_within_a_session_here_goes_on_from_its_number() -> None:
    view = View()
    view.stored(request_of(view.car_connected(Version(6, 41), "", ())), ())
    view.receive_state(row("S75", session=6, number=42))
    assert (view.phase, view.position) == (Phase.LOCAL, Version(6, 42))


# ---- provisional snapshots


def test_a_watcher_that_waits_for_redis_gets_what_postgresql_has() -> None:
    view = View()
    [read] = view.overdue()
    assert isinstance(read, Read)
    assert view.overdue() == []
    assert view.stored(read.request, [row("S75")]) == [Deliver([row("S75")]), Snapshot(is_provisional=True)]
    assert view.phase is Phase.UNSUBSCRIBED
    assert view.stored(read.request, ()) == []


def test_a_watcher_that_waits_for_redis_and_postgresql_gets_what_is_known() -> None:
    view = View()
    assert view.unavailable(request_of(view.overdue())) == [Snapshot(is_provisional=True)]


def test_a_watcher_that_waits_for_postgresql_alone_gets_what_the_replica_has_not_written() -> None:
    view = View()
    effects = view.located(request_of(view.subscribed()), "a", 5)
    read = request_of(view.answered(request_of(effects), Answer(FIRST, "", (row("S75"),))))
    assert [type(effect) for effect in view.unavailable(read)] == [Read]
    assert view.overdue() == []
    effects = view.unavailable(view._request)
    assert effects[0] == Snapshot(is_provisional=True)
    assert view.stored(request_of(effects), ()) == [Snapshot()]


def test_a_complete_view_needs_no_provisional_snapshot() -> None:
    assert live_view().overdue() == []


# ---- encrypted states


def test_a_token_is_delivered_once_for_each_message_that_names_it() -> None:
    view = live_view()
    assert view.receive_token(Version(5, 1), "k1") == [DeliverToken("k1")]
    assert view.receive_token(Version(5, 1), "k1") == []
    assert view.receive_token(Version(5, 2), "k1") == [DeliverToken("k1")]
    assert view.receive_token(Version(4, 9), "k0") == []
    assert view.token == "k1"


def test_a_row_encrypted_with_another_token_is_kept_and_not_shown() -> None:
    view = live_view(0, row("D1", session=4, key="k1"), row("S70", session=4))
    view.receive_token(Version(5, 1), "k2")
    assert [one.message for one in view.shown()] == [b"S70"]
    assert view.merge([row("D0", session=3)]) == []
    assert view.merge([row("D2", session=4, number=2, key="k1")]) == []
    assert delivered(view.receive_state(row("D3", number=2, key=""))) == ["D3"]
    assert view.rows[ord("D")].encrypted_with == "k2"


def test_an_encrypted_row_names_its_token_where_the_message_that_did_was_lost() -> None:
    view = live_view()
    effects = view.merge([row("D1", session=4, key="k1"), row("S1", number=4, key="k2")])
    assert effects == [DeliverToken("k2"), Deliver([row("S1", number=4, key="k2")])]


def test_a_token_that_was_assumed_is_corrected_by_the_stored_row() -> None:
    view = live_view()
    view.receive_token(Version(5, 1), "k1")
    view.receive_state(row("D1", number=3, key=""))  # number 2 named k2, and is lost
    effects = view.located(view._request, "a", 5)
    effects = view.answered(request_of(effects), Answer(Version(5, 3), "k2", (row("D1", number=3, key="k2"),)))
    assert effects[:-1] == [DeliverToken("k2")]
    assert [one.message for one in view.shown()] == [b"D1"]


def test_the_token_in_postgresql_counts_until_a_version_of_it_is_known() -> None:
    view = View()
    assert view.stored(request_of(view.overdue()), (), token="k1")[0] == DeliverToken("k1")
    view.subscribed()
    view.receive_token(FIRST, "k2")
    assert view.stored(request_of(view.overdue()), (), token="k1") == [Snapshot(is_provisional=True)]
    assert view.token == "k2"


def test_the_token_in_postgresql_counts_where_no_replica_has_the_car() -> None:
    view = live_view()
    view.receive_token(FIRST, "k1")  # another, k2, is lost before the car disconnects
    effects = view.located(request_of(view.receive_presence(0)), "a", 0)
    effects = view.answered(request_of(effects), Answer(NO_VERSION, "", ()))
    assert view.stored(request_of(effects), (), token="k2") == [DeliverToken("k2"), Snapshot()]


def test_a_row_that_is_too_long_is_delivered_and_never_shown() -> None:
    view = live_view(0, row("S70", session=4))
    assert len(delivered(view.receive_state(row("S" + "7" * LONGEST_KEPT)))) == 1
    assert view.shown() == []
    assert view.merge([row("S71", session=4, number=2)]) == []


# ---- merge, whatever the order

ROWS = st.lists(
    st.builds(
        lambda code, session, number: Row(f"{code}{session}-{number}".encode(), 0.0, None, Version(session, number)),
        st.sampled_from("SDL"),
        st.integers(1, 3),
        st.integers(1, 4),
    ),
    max_size=12,
)


@given(rows=ROWS, cut=st.integers(0, 12), seed=st.integers())
def test_merging_gives_the_newest_of_each_code_in_whatever_order_and_parts(rows: list[Row], cut: int, seed: int) -> None:
    expected = {one.message[0]: one for one in sorted(rows, key=lambda one: one.version)}
    mixed = random.Random(seed).sample(rows, len(rows))
    view = View()
    view.merge(mixed[:cut])
    view.merge(mixed[cut:])
    assert view.rows == expected
    assert view.merge(rows) == []


@given(rows=ROWS)
def test_versions_of_each_code_that_are_delivered_increase(rows: list[Row]) -> None:
    view, last = View(), dict[int, Version]()
    for one in rows:
        for effect in view.merge([one]):
            assert isinstance(effect, Deliver)
            assert one.version > last.get(one.message[0], NO_VERSION)
            last[one.message[0]] = one.version
