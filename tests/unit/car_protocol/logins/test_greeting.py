"""What greets an app: the order of the stored messages, and their age."""

import pytest

from car_protocol.logins.greeting import LATEST, NEVER, Known, greeting, is_news, is_old, later, newest, until
from car_protocol.rooms.hub import AGE_ZERO, Unheard, code_of
from ovms.db.logins import StoredMessage

WALL = 1_700_000_000.0


def stored(*messages: bytes, ages: float = 10) -> dict[int, StoredMessage]:
    return {message[0]: StoredMessage(message, WALL - ages) for message in messages}


def test_firmware_and_status_come_first_then_the_rest_by_code_then_the_age() -> None:
    kept = stored(b"W4", b"x9", b"D2", b"S1", b"L3", b"Fwhat", b"VC1")
    assert greeting("", kept, WALL, has_car=True) == [b"Z1", b"Fwhat", b"S1", b"D2", b"L3", b"VC1", b"W4", b"x9", b"T10"]


def test_a_car_that_never_sent_anything_has_the_age_of_the_reference() -> None:
    assert greeting("", {}, WALL, has_car=False) == [b"Z0", b"T3020399"]
    assert NEVER == 3020399


@pytest.mark.parametrize(("age", "told"), [(0, b"T0"), (0.9, b"T0"), (59.9, b"T59"), (-5, b"T0"), (10**7, b"T10000000")])
def test_the_age_is_whole_seconds_and_never_negative(age: float, told: bytes) -> None:
    assert greeting("", stored(b"S1", ages=age), WALL, has_car=False)[-1] == told


def test_the_age_is_that_of_the_newest_message() -> None:
    kept = stored(b"S1", ages=100) | stored(b"D2", ages=7)
    assert greeting("", kept, WALL, has_car=False)[-1] == b"T7"


def test_the_name_of_the_paranoid_key_comes_once_before_the_first_sealed_message() -> None:
    kept = {code: StoredMessage(b"%cdata" % code, WALL, "token" if code in b"DL" else None) for code in b"FDLV"}
    assert greeting("token", kept, WALL, has_car=False) == [
        b"Z0",
        b"Fdata",
        b"ETtoken",
        b"EMDdata",
        b"EMLdata",
        b"Vdata",
        b"T0",
    ]


def test_what_is_sealed_with_another_key_is_not_told_nor_does_its_age_count() -> None:
    kept = stored(b"F1", ages=20) | {code: StoredMessage(b"%cdata" % code, WALL - 10, "former") for code in b"DL"}
    assert greeting("token", kept, WALL, has_car=False) == [b"Z0", b"F1", b"T20"]


def test_what_was_sealed_before_a_key_had_a_name_is_told_without_one() -> None:
    kept = {ord("D"): StoredMessage(b"Ddata", WALL, "")}
    assert greeting("", kept, WALL, has_car=False) == [b"Z0", b"EMDdata", b"T0"]
    assert greeting("token", kept, WALL, has_car=False) == [b"Z0", b"T3020399"]


# ---- what PostgreSQL has, and what it does not have yet

PLAIN, SEALED = StoredMessage(b"Sold", WALL - 10, epoch=5), StoredMessage(b"Snew", WALL, "former", epoch=5)


def test_what_waits_is_newer_than_what_is_stored_even_where_no_app_can_open_it() -> None:
    codes = newest(stored(b"L1") | {ord("S"): PLAIN}, stored(b"D1") | {ord("S"): SEALED})
    assert codes == stored(b"L1", b"D1") | {ord("S"): SEALED}
    assert greeting("token", codes, WALL, has_car=False) == [b"Z0", b"D1", b"L1", b"T10"]


@pytest.mark.parametrize(("epoch", "told"), [(4, b"Swaits"), (5, b"Swaits"), (6, b"Sold")])
def test_what_a_car_has_sent_elsewhere_since_is_newer_than_what_waits_here(epoch: int, told: bytes) -> None:
    stored = {ord("S"): StoredMessage(b"Sold", WALL, epoch=epoch)}
    assert newest(stored, {ord("S"): StoredMessage(b"Swaits", WALL, epoch=5)})[ord("S")].message == told


def test_stored_messages_after_the_position_are_left_to_be_received_live() -> None:
    """At one time of the clock a car may have sent messages before and after the question."""
    codes = {code: StoredMessage(b"%c" % code, WALL, None, 5, number) for code, number in ((68, 6), (76, 7), (83, 8))}
    assert until(codes, 5, 7).keys() == {68, 76}
    assert until(codes, 6, 0).keys() == {68, 76, 83}
    assert until(codes, 5, float("inf")).keys() == {68, 76, 83}
    assert until(codes, 4, 99) == {}


# ---- what is news


def heard(*states: bytes, at: float = WALL) -> dict[int, Known]:
    return {code_of(states[-1]): Known([hash(state) for state in states], at)}


@pytest.mark.parametrize(
    ("known", "ages", "news", "old"),
    [
        ({}, 10, True, False),
        (heard(b"D1"), 10, True, False),
        (heard(b"S1"), 0, False, False),
        (heard(b"S1", b"S2"), 0, False, True),
        (heard(b"S0", b"S2"), LATEST / 2, True, False),
        (heard(b"S0", b"S2"), 2 * LATEST, False, True),
    ],
    ids=["nothing is known", "another code", "the last one", "one before it", "may come later", "was before"],
)
def test_news_is_what_somebody_has_not_heard_nor_what_is_later(
    known: dict[int, Known], ages: float, news: bool, old: bool
) -> None:
    messages = stored(b"S1", ages=ages)
    assert (is_news(b"S1", known, messages), is_old(b"S1", known, messages)) == (news, old)


def test_a_state_of_a_code_that_nothing_is_stored_of_is_news() -> None:
    assert is_news(b"S1", heard(b"S2"), {})
    assert is_news(b"EMS1", heard(b"EMS2"), {})


def unheard(*states: bytes, since: float, told: dict[int, StoredMessage]) -> Unheard:
    kept = Unheard(since)
    for state in states:
        kept.send(state, 0)
        kept.send(AGE_ZERO, 0)
    kept.told = told
    return kept


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ({}, [b"S1", b"S2", b"S3"]),
        (stored(b"S2"), [b"S3"]),
        (stored(b"S3"), []),
        (stored(b"S9", ages=100), [b"S1", b"S2", b"S3"]),
        (stored(b"S9", ages=0), []),
    ],
    ids=["he was told nothing", "he was told one", "he was told the last", "he was told an earlier", "he was told a later"],
)
def test_of_what_was_kept_from_somebody_what_came_later_is_left(told: dict[int, StoredMessage], left: list[bytes]) -> None:
    kept = unheard(b"S1", b"S2", b"S3", since=WALL - 50, told=told)
    assert later(kept) == [message for state in left for message in (state, AGE_ZERO)]
