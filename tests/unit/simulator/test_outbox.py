"""History records until they are acknowledged."""

from simulator.outbox import MOST, Outbox


def test_a_record_goes_out_once_and_again_after_ten_seconds_with_its_age() -> None:
    outbox = Outbox()
    outbox.add("*-LOG-Trip,1,86400,x", now=100.0)

    assert outbox.due(102.5) == [b"h1,-2,*-LOG-Trip,1,86400,x"]
    assert outbox.due(112.4) == []
    assert outbox.due(112.5) == [b"h1,-12,*-LOG-Trip,1,86400,x"]


def test_it_is_kept_until_it_is_acknowledged() -> None:
    outbox = Outbox()
    outbox.add("a", now=0.0)
    outbox.add("b", now=0.0)
    for unknown in ("3", "", "x", "1x", "²"):
        outbox.acknowledge(unknown)
    assert len(outbox) == 2

    outbox.acknowledge("1")

    assert outbox.due(0.0) == [b"h2,0,b"]


def test_five_go_at_once() -> None:
    outbox = Outbox()
    for _ in range(7):
        outbox.add("a", now=0.0)

    assert len(outbox.due(0.0)) == 5
    assert len(outbox.due(1.0)) == 2


def test_a_new_connection_is_told_at_once() -> None:
    outbox = Outbox()
    outbox.add("a", now=0.0)
    outbox.due(0.0)

    outbox.reconnected()

    assert outbox.due(1.0) == [b"h1,-1,a"]


def test_it_is_bounded() -> None:
    outbox = Outbox()
    for _ in range(MOST + 5):
        outbox.add("a", now=0.0)

    assert len(outbox) == MOST
    assert outbox.due(0.0)[0].startswith(b"h6,")
