"""The demo never has a published password where the network can reach it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.command import Command, Outcome
from fixtures.servers import fetch
from ovms.admin.demo import Demo, close_demo, load_demo
from ovms.admin.target import Target
from ovms.auth.published import OWNER_PASSWORD, VEHICLE_PASSWORD
from ovms.db.passwords import verify_password
from ovms.db.sealing import Sealer


@pytest.fixture
def target(database_url: str, secret_keys: str) -> Target:
    return Target(database_url, secret_keys)


@pytest.fixture
def has_published(target: Target) -> Callable[[], bool]:
    """Whether anything in the database still has a published password."""

    def look() -> bool:
        owners = fetch(target.database_url, "SELECT password_hash FROM owners")
        vehicles = fetch(target.database_url, "SELECT vehicle_id, password, password_key_id FROM vehicles")
        sealer = Sealer.from_setting(target.secret_keys or "")
        return any(verify_password(row["password_hash"], OWNER_PASSWORD) for row in owners) or any(
            sealer.open(row["password_key_id"], row["password"], context=row["vehicle_id"]) == VEHICLE_PASSWORD.encode()
            for row in vehicles
        )

    return look


def owners(target: Target) -> list[str]:
    return [row["name"] for row in fetch(target.database_url, "SELECT name FROM owners ORDER BY name")]


def tokens(target: Target) -> int:
    return len(fetch(target.database_url, "SELECT * FROM api_tokens"))


def test_on_loopback_it_has_the_published_passwords(target: Target, has_published: Callable[[], bool]) -> None:
    assert load_demo(target, is_public=False) == load_demo(target, is_public=False) == Demo("DEMO", "demo")
    assert has_published()


def test_on_other_addresses_it_has_a_generated_password_that_stays(target: Target, has_published: Callable[[], bool]) -> None:
    demo = load_demo(target, is_public=True)
    assert demo is not None
    assert demo.owner_password is not None
    assert len(demo.owner_password) >= 16
    assert demo.owner_password in (demo.curl_line("http://h") or "")
    assert not has_published()
    assert load_demo(target, is_public=True) == load_demo(target, is_public=False) == demo


def test_published_passwords_are_replaced_before_the_network_can_use_them(
    target: Target, ovms: Command, has_published: Callable[[], bool]
) -> None:
    load_demo(target, is_public=False)
    ovms("token", "add", "demo")
    demo = load_demo(target, is_public=True)
    assert demo is not None
    assert demo.vehicle_password == demo.owner_password != "demo"
    assert not has_published()
    assert tokens(target) == 0


def test_without_the_demo_it_is_removed_with_its_vehicle_and_tokens(target: Target, ovms: Command) -> None:
    load_demo(target, is_public=False)
    ovms("token", "add", "demo")
    assert close_demo(target) == "demo removed: owner demo had the published password"
    assert owners(target) == []
    assert fetch(target.database_url, "SELECT * FROM vehicles") == []
    assert tokens(target) == 0
    assert close_demo(target) is None


def test_an_owner_demo_with_a_vehicle_of_their_own_keeps_it_and_loses_the_password(
    target: Target, ovms: Command, has_published: Callable[[], bool]
) -> None:
    load_demo(target, is_public=False)
    ovms("vehicle", "add", "MYCAR", "--owner", "demo", typed="of my module\n")
    ovms("token", "add", "demo")
    assert (close_demo(target) or "").startswith("published passwords replaced: vehicle DEMO (")
    assert owners(target) == ["demo"]
    assert len(fetch(target.database_url, "SELECT * FROM vehicles")) == 2
    assert not has_published()
    assert tokens(target) == 0


def test_a_vehicle_demo_of_another_owner_loses_the_published_password(
    target: Target, has_published: Callable[[], bool]
) -> None:
    load_demo(target, is_public=False)
    fetch(target.database_url, "UPDATE owners SET name = 'anna', password_hash = 'none'")
    assert (close_demo(target) or "").startswith("published passwords replaced: vehicle DEMO (")
    assert owners(target) == ["anna"]
    assert not has_published()


def test_what_has_other_passwords_is_left_as_it_is(target: Target, provision: Callable[[object], Outcome]) -> None:
    own = {"name": "demo", "password": "of my own", "vehicles": [{"id": "DEMO", "password": "of my module"}]}
    provision({"owners": [own]})
    tables = ("SELECT * FROM owners", "SELECT * FROM vehicles")
    before = [fetch(target.database_url, table) for table in tables]
    assert close_demo(target) is None
    assert load_demo(target, is_public=True) is None
    assert [fetch(target.database_url, table) for table in tables] == before
