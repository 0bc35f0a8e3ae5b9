"""What waits for a reader: bounded, in order, with ids that promise no more than was told."""

import pytest

from api_gateway.live.events import Event
from api_gateway.live.inbox import GONE, Ending, Inbox
from api_gateway.live.tally import Tally
from api_gateway.live.telling import take

NOW = 1000.0


def event(text: str, kind: str = "state") -> Event:
    return Event(kind, text.encode())


def inbox(known_until: float | None = None, **options: int) -> Inbox:
    return Inbox(known_until, lambda: NOW, Tally(lambda: NOW), **options)


def texts(box: Inbox) -> list[str]:
    return [told.data.decode() for told, _ in take(box)]


def test_of_a_state_the_newest_is_told_in_its_turn() -> None:
    box = inbox()
    box.put(1, "S", event("old"), 1.0)
    box.put(1, "D", event("doors"), 2.0)
    box.put(1, "S", event("new"), 3.0)
    assert texts(box) == ["new", "doors"]
    assert texts(box) == []


def test_states_of_two_vehicles_are_two() -> None:
    box = inbox()
    box.put(1, "S", event("one"), 1.0)
    box.put(2, "S", event("two"), 1.0)
    assert texts(box) == ["one", "two"]


def test_what_comes_once_is_all_told_in_its_order() -> None:
    box = inbox()
    for text in ("a", "a", "b"):
        box.add(1, event(text), 1.0)
    assert texts(box) == ["a", "a", "b"]


def test_of_too_much_the_oldest_goes_and_that_is_told() -> None:
    box = inbox(most_once=2)
    for number in range(5):
        box.add(1, event(str(number)), 100.0 + number)
    first, *others = take(box)
    assert (first[0].kind, first[0].data) == ("missed", b'{"since":"1970-01-01T00:01:40Z"}')
    assert [told.data for told, _ in others] == [b"3", b"4"]
    box.add(1, event("5"), 200.0)
    assert texts(box) == ["5"]


def test_what_was_told_makes_room() -> None:
    box = inbox(most_once=1)
    for text in ("a", "b"):
        box.add(1, event(text), 1.0)
        assert texts(box) == [text]


def test_an_id_is_now_where_nothing_waits_any_more() -> None:
    box = inbox()
    box.put(1, "S", event("x"), 5.0)
    assert box.take() == (event("x"), NOW)


def test_an_id_is_of_before_what_still_waits() -> None:
    box = inbox()
    box.put(1, "S", event("first"), 5.0)
    box.put(1, "D", event("second"), 6.0)
    box.put(1, "S", event("first, but later"), 7.0)
    assert [until for _, until in take(box)] == [6.0, NOW]


def test_there_is_no_id_before_all_of_the_time_before_is_told() -> None:
    box = inbox()
    box.put(1, "S", event("live"), 5.0)
    box.put(1, "D", event("of before"), None)
    box.put(1, "D", event("of before, and again"), 6.0)
    box.put(1, "L", event("of before too"), None)
    assert [until for _, until in take(box)] == [None, None, NOW]


def test_there_is_no_id_while_a_vehicle_is_not_loaded() -> None:
    box = inbox()
    box.await_load(2)
    box.put(1, "S", event("x"), 5.0)
    assert box.take() == (event("x"), None)
    box.loaded(2)
    box.put(1, "S", event("y"), 5.0)
    assert box.take() == (event("y"), NOW)


def test_who_comes_back_is_told_that_he_may_have_missed_something() -> None:
    box = inbox(known_until=60.0)
    assert texts(box) == ['{"since":"1970-01-01T00:01:00Z"}']
    assert texts(box) == []


def test_the_earliest_time_is_told_of_what_was_missed() -> None:
    box = inbox()
    box.miss(120.0)
    box.miss(60.0)
    box.miss(180.0)
    assert texts(box) == ['{"since":"1970-01-01T00:01:00Z"}']


def test_a_vehicle_can_be_forgotten() -> None:
    box = inbox(most_once=2)
    box.put(1, "L", event("where it was"), None)
    box.add(1, event("a notification"), 1.0)
    box.put(2, "S", event("another"), 1.0)
    box.forget(1)
    assert box.take() == (event("another"), NOW)
    for text in ("a", "b"):
        box.add(1, event(text), 1.0)
    assert texts(box) == ["a", "b"]


async def test_a_reader_waits_until_there_is_something() -> None:
    box = inbox()
    box.put(1, "S", event("x"), 1.0)
    await box.wait()
    assert texts(box) == ["x"]
    assert not box._work.is_set()


async def test_its_end_wakes_its_reader_and_the_first_one_counts() -> None:
    box = inbox()
    box.await_load(1)
    box.end(Ending("first", 1001))
    box.end(GONE)
    await box.whole()
    await box.wait()
    assert take(box) == []
    await box.wait()
    assert box.ends == Ending("first", 1001)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_a_write_takes_a_bounded_number(count: int) -> None:
    box = inbox()
    for vehicle in range(count):
        box.put(vehicle, "S", event(str(vehicle)), 1.0)
    taken: list[str] = []
    while some := texts(box):
        assert len(some) <= 64
        taken += some
    assert taken == [str(vehicle) for vehicle in range(count)]


def test_what_was_told_is_counted_by_kind_and_timed_by_what_waited_longest() -> None:
    tally = Tally(lambda: NOW)
    box = Inbox(None, lambda: NOW, tally)
    box.put(1, "S", event("state"), NOW - 3.0)
    box.add(1, event("note", "notification"), NOW - 1.0)
    since = box.waits_since
    box.has_told(take(box), since)
    assert tally.events == {"state": 1, "notification": 1}
    assert (tally.seconds.count, tally.seconds.sum) == (1, 3.0)


def test_what_is_older_than_its_reader_is_not_timed() -> None:
    tally = Tally(lambda: NOW)
    box = Inbox(None, lambda: NOW, tally)
    box.put(1, "S", event("state"), None)
    since = box.waits_since
    box.has_told(take(box), since)
    assert tally.events == {"state": 1}
    assert tally.seconds.count == 0
