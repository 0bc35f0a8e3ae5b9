"""Password hashes of Drupal. None of the vectors was made by our own code."""

from __future__ import annotations

import pytest

from ovms.db.drupal import is_hash, verify
from ovms.db.passwords import is_outdated, verify_password

VECTORS = [
    # https://github.com/openwall/john, src/drupal7_fmt_plug.c
    ("$S$CwkjgAKeSx2imSiN3SyBEg8e0sgE2QOx4a/VIfCHN0BZUNAWCr1X", "virtualabc"),
    ("$S$CFURCPa.k6FAEbJPgejaW4nijv7rYgGc4dUJtChQtV4KLJTPTC/u", "password"),
    ("$S$C6x2r.aW5Nkg7st6/u.IKWjTerHXscjPtu4spwhCVZlP89UKcbb/", "NEW_TEMP_PASSWORD"),
    # https://www.php.net/manual/en/function.password-verify.php and function.password-hash.php
    ("$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq", "rasmuslerdorf"),
    ("$2y$11$6DP.V0nO7YI3iSki4qog6OQI5eiO6Jnjsqg7vdnb.JgGIsxniOn4C", "rasmuslerdorf"),
]
PHPASS, BCRYPT = VECTORS[1][0], VECTORS[3][0]


@pytest.mark.parametrize(("hashed", "password"), VECTORS)
def test_a_password_is_verified_by_its_hash(hashed: str, password: str) -> None:
    assert is_hash(hashed)
    assert is_outdated(hashed)
    assert verify_password(hashed, password)
    assert not verify_password(hashed, password + "x")
    assert not verify_password(hashed, password[:-1])


@pytest.mark.parametrize("place", [4, 11, 12, 54])
def test_every_part_of_a_hash_counts(place: int) -> None:
    assert not verify(f"{PHPASS[:place]}{'1' if PHPASS[place] != '1' else '2'}{PHPASS[place + 1 :]}", "password")


def test_a_hash_cannot_be_made_to_burn_time() -> None:
    assert is_hash(PHPASS.replace("$S$C", "$S$G"))  # 2^18 rounds
    assert is_hash(BCRYPT.replace("$07$", "$13$"))
    for hashed in (PHPASS.replace("$S$C", "$S$H"), PHPASS.replace("$S$C", "$S$z"), BCRYPT.replace("$07$", "$14$")):
        assert not is_hash(hashed)
        assert not verify(hashed, "password")


def test_a_password_cannot_be_made_to_burn_time() -> None:
    assert not verify(PHPASS, "password" * 100_000)


@pytest.mark.parametrize("password", ["", "pass\0word", "\ud800", "rasmuslerdorf\0"])
@pytest.mark.parametrize("hashed", [PHPASS, BCRYPT])
def test_odd_passwords_are_wrong_ones(hashed: str, password: str) -> None:
    assert not verify(hashed, password)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        PHPASS[:-1],
        PHPASS + ".",
        PHPASS + "\n",
        PHPASS.replace("$S$C", "$S$4"),  # fewer rounds than Drupal makes
        PHPASS.replace("$S$C", "$S$$"),
        "U" + PHPASS,  # the reference knows no such owner either
        BCRYPT[:-1],
        BCRYPT + "\n",
        BCRYPT.replace("$07$", "$03$"),
        BCRYPT.replace("$07$", "$\u0660\u0667$"),
        BCRYPT.replace("$2y$", "$2x$"),
    ],
)
def test_what_is_no_hash_verifies_nothing(text: str) -> None:
    assert not is_hash(text)
    assert not verify(text, "password")
    assert not verify(text, text)
