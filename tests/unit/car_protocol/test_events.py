"""Events inside a process."""

from car_protocol.events import Event


def test_handlers_are_called_in_the_order_in_which_they_subscribed() -> None:
    event, seen = Event[[int]](), list[tuple[str, int]]()
    event(1)
    event.subscribe(lambda number: seen.append(("first", number)))
    event.subscribe(lambda number: seen.append(("second", number)))
    event(2)
    assert seen == [("first", 2), ("second", 2)]
