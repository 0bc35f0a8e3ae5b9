"""Passwords of owners."""

import pytest

from ovms.db.passwords import hash_password, verify_password


def test_a_password_is_verified_by_its_hash() -> None:
    hashed = hash_password("sécret")
    assert verify_password(hashed, "sécret")
    assert not verify_password(hashed, "secret")


def test_the_hash_is_argon2id_and_salted() -> None:
    assert hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("text", ["", "x", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1"])
def test_what_is_no_hash_verifies_nothing(text: str) -> None:
    assert not verify_password(text, "x")
