"""Secrets at rest."""

import base64

import pytest

from ovms.db.sealing import Sealer, SealingError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def setting(*keys: tuple[str, bytes]) -> str:
    return ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in keys)


def test_a_sealed_secret_opens() -> None:
    sealer = Sealer.from_setting(setting(("a", OLD)))
    key_id, sealed = sealer.seal(b"NETPASS", context="DEMO")
    assert key_id == "a"
    assert b"NETPASS" not in sealed
    assert sealer.open(key_id, sealed, context="DEMO") == b"NETPASS"


def test_two_seals_of_one_secret_differ() -> None:
    sealer = Sealer.from_setting(setting(("a", OLD)))
    assert sealer.seal(b"x", context="DEMO") != sealer.seal(b"x", context="DEMO")


def test_the_first_key_seals_and_all_open() -> None:
    key_id, sealed = Sealer.from_setting(setting(("a", OLD))).seal(b"x", context="DEMO")
    rotated = Sealer.from_setting(setting(("b", NEW), ("a", OLD)))
    assert rotated.open(key_id, sealed, context="DEMO") == b"x"
    assert rotated.seal(b"x", context="DEMO")[0] == "b"


def test_a_secret_of_one_vehicle_is_none_of_another() -> None:
    sealer = Sealer.from_setting(setting(("a", OLD)))
    key_id, sealed = sealer.seal(b"x", context="DEMO")
    with pytest.raises(SealingError, match="does not open"):
        sealer.open(key_id, sealed, context="OTHER")


@pytest.mark.parametrize("length", [0, 5, 12, 20, 28])
def test_what_was_cut_or_changed_does_not_open(length: int) -> None:
    sealer = Sealer.from_setting(setting(("a", OLD)))
    key_id, sealed = sealer.seal(b"x", context="DEMO")
    with pytest.raises(SealingError, match="does not open"):
        sealer.open(key_id, sealed[:length], context="DEMO")
    with pytest.raises(SealingError, match="does not open"):
        sealer.open(key_id, sealed[:-1] + bytes([sealed[-1] ^ 1]), context="DEMO")


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(SealingError, match="'b'"):
        Sealer.from_setting(setting(("a", OLD))).open("b", bytes(40), context="DEMO")


@pytest.mark.parametrize(
    "text",
    ["", "a", "a:", ":AAAA", "a:not base64", "a:AAAA", setting(("a", OLD), ("a", NEW)), setting(("a", OLD)) + ","],
)
def test_keys_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(SealingError) as caught:
        Sealer.from_setting(text)
    assert base64.b64encode(OLD).decode() not in str(caught.value)


def test_the_current_key_must_be_there() -> None:
    with pytest.raises(SealingError, match="'b'"):
        Sealer({"a": OLD}, "b")


def test_marks_are_equal_for_what_is_equal_and_say_nothing_of_it() -> None:
    sealer = Sealer.from_setting(setting(("a", OLD)))
    key_id, mark = sealer.mark(b"1234", context="DEMO")
    assert (key_id, mark) == sealer.mark(b"1234", context="DEMO")
    others = [
        sealer.mark(b"1235", context="DEMO"),
        sealer.mark(b"1234", context="OTHER"),
        Sealer.from_setting(setting(("a", NEW))).mark(b"1234", context="DEMO"),
    ]
    assert all(other != mark for _, other in others)
    assert b"1234" not in mark


def test_marks_of_an_older_key_can_be_compared_while_it_is_known() -> None:
    _, mark = Sealer.from_setting(setting(("a", OLD))).mark(b"x", context="DEMO")
    rotated = Sealer.from_setting(setting(("b", NEW), ("a", OLD)))
    assert rotated.mark(b"x", context="DEMO", key_id="a") == ("a", mark)
    assert rotated.mark(b"x", context="DEMO")[0] == "b"
    with pytest.raises(SealingError, match="'a'"):
        Sealer.from_setting(setting(("b", NEW))).mark(b"x", context="DEMO", key_id="a")
