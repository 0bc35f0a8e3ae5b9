"""What the API asks of a real PostgreSQL: accounts, tokens, state, history."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.gateway import hashed, provision, send_message, send_record
from fixtures.names import name_of
from ovms.db import accounts, legacy_history, state, tokens
from ovms.db.engine import Pool
from ovms.db.history import RecordTypeSummary

YEAR = datetime(2026, 1, 1, tzinfo=UTC)
EVER = datetime(1, 1, 1, tzinfo=UTC)
PROOF = hashlib.sha256(hashed("secret").encode()).hexdigest()


@pytest.fixture
async def db(pool: Pool) -> Pool:
    """A database with two owners and their vehicles."""
    await provision(pool)
    return pool


async def owner_id(db: Pool, name: str = "demo") -> int:
    account = await accounts.find_account(db, name)
    assert account is not None
    return account.owner_id


async def test_accounts(db: Pool) -> None:
    account = await accounts.find_account(db, "DEMO")
    assert account is not None
    assert (account.name, account.password_hash) == ("demo", hashed("secret"))
    assert account.password_hash not in repr(account)
    for nobody in ("nobody", "", "nul\0", "'"):
        assert await accounts.find_account(db, nobody) is None


async def test_vehicles(db: Pool) -> None:
    demo = await owner_id(db)
    found = await accounts.find_vehicle(db, demo, "sECOND")
    assert found is not None
    assert found.vehicle_id == "Second"
    assert await accounts.find_vehicle(db, demo, "OTHER1") is None


async def test_a_credential_stands_until_it_is_changed(db: Pool) -> None:
    demo, other = await owner_id(db), await owner_id(db, "other")
    token = await tokens.create_token(db, demo, application="a", purpose="p", permit="auth")
    proofs = [hashlib.sha256(hashed("secret").encode()).hexdigest(), hashlib.sha256(token.encode()).hexdigest()]
    asked = [(demo, proofs[0]), (other, proofs[1]), (demo, ""), (demo, proofs[1])]
    assert await accounts.credentials_stand(db, asked) == [True, False, False, True]
    await tokens.delete_token(db, demo, token)
    assert await accounts.credentials_stand(db, asked) == [True, False, False, False]
    await db.execute("UPDATE owners SET password_hash = 'new'")
    assert await accounts.credentials_stand(db, asked) == [False] * 4


async def test_a_token_is_stored_as_its_hash_only(db: Pool) -> None:
    token = await tokens.create_token(db, await owner_id(db), application="a", purpose="p", permit="auth")
    assert tokens.looks_like_token(token)
    row = await db.fetchrow("SELECT * FROM api_tokens")
    assert row is not None
    assert token not in str(dict(row))
    assert row["sha256"] == hashlib.sha256(token.encode()).digest()


async def test_using_a_token(db: Pool) -> None:
    demo = await owner_id(db)
    token = await tokens.create_token(db, demo, application="a", purpose="p", permit="v2")
    await db.execute("UPDATE api_tokens SET last_used_at = '2020-01-01'")
    assert await tokens.use_token(db, token) == tokens.TokenOwner(demo, "demo", "v2", None)
    (listed,) = await tokens.list_tokens(db, demo)
    assert listed.last_used_at.year > 2020
    assert (listed.application, listed.purpose, listed.permit) == ("a", "p", "v2")
    assert await tokens.use_token(db, "0" * 64) is None


async def test_a_token_for_some_vehicles_and_some_time(db: Pool) -> None:
    demo = await owner_id(db)
    ends = datetime.now(UTC) + timedelta(hours=1)
    token = await tokens.create_token(db, demo, application="a", purpose="p", permit="read", vehicles=["DEMO"], expires_at=ends)
    assert await tokens.use_token(db, token) == tokens.TokenOwner(demo, "demo", "read", ["DEMO"])
    (listed,) = await tokens.list_tokens(db, demo)
    assert (listed.vehicles, listed.expires_at) == (["DEMO"], ends)
    proof = hashlib.sha256(token.encode()).hexdigest()
    assert await accounts.credentials_stand(db, [(demo, proof)]) == [True]
    await db.execute("UPDATE api_tokens SET expires_at = now()")
    assert await tokens.use_token(db, token) is None
    assert await accounts.credentials_stand(db, [(demo, proof)]) == [False]


@pytest.mark.parametrize("way", [str, str.upper, lambda token: hashlib.sha256(token.encode()).hexdigest()[:16]])
async def test_deleting_a_token(db: Pool, way) -> None:
    demo, other = await owner_id(db), await owner_id(db, "other")
    token = await tokens.create_token(db, demo, application="a", purpose="p", permit="v2")
    kept = await tokens.create_token(db, demo, application="b", purpose="p", permit="v2")
    assert await tokens.delete_token(db, other, way(token)) == []
    assert await tokens.delete_token(db, demo, way(token)) == [tokens.identify(token)]
    assert await tokens.delete_token(db, demo, way(token)) == []
    assert await tokens.use_token(db, kept) is not None


@pytest.mark.parametrize("token", ["", "0", "0" * 15, "g" * 16, "nul\0", "ä", "%"])
async def test_deleting_what_is_no_token(db: Pool, token: str) -> None:
    demo = await owner_id(db)
    await tokens.create_token(db, demo, application="a", purpose="p", permit="v2")
    assert await tokens.delete_token(db, demo, token) == []


@pytest.mark.parametrize(
    ("text", "expected"), [("a" * 64, True), ("a" * 63, False), ("A" * 64, False), ("g" * 64, False), ("", False)]
)
def test_what_looks_like_a_token(text: str, expected: bool) -> None:
    assert tokens.looks_like_token(text) is expected


async def test_messages(db: Pool) -> None:
    demo = await owner_id(db)
    await send_message(db, "DEMO", "S75", age=100)
    await send_message(db, "DEMO", "Dold", valid=False)
    await send_message(db, "DEMO", "Lsecret", paranoid_token="t")
    states = state.OwnedStates(db)
    asked = [(PROOF, "OTHER1", "S"), (PROOF, "Second", "S"), (PROOF, "demo", "SDL"), (PROOF, "nobody", "S"), ("", "DEMO", "S")]
    others, none, read, unknown, revoked = await asyncio.gather(*(states.read(demo, *each) for each in asked))
    assert others == unknown == state.OwnedState(True, None, None)
    second = await db.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'Second'")
    assert none == state.OwnedState(True, second, {})
    assert revoked == state.NOT_STANDING
    found = read.newest
    assert found is not None
    assert set(found) == {"S", "L"}
    assert (found["S"].data, found["S"].paranoid) == (b"75", False)
    assert abs(found["S"].received_at - (datetime.now(UTC).timestamp() - 100)) < 5
    assert (found["L"].paranoid, found["L"].paranoid_token) == (True, "t")


async def test_all_messages_in_the_references_order(db: Pool) -> None:
    demo = await owner_id(db)
    for code in "xVLSDFaZ":
        await send_message(db, "DEMO", code)
    found = (await state.OwnedStates(db).read(demo, PROOF, "DEMO", state.ALL)).newest
    assert found is not None
    assert "".join(message.code for message in state.in_order(found)) == "FSDLVZax"
    key = await db.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'DEMO'")
    assert "".join(message.code for message in await state.read_newest(db, key)) == "FSDLVZax"


async def test_vehicles_are_listed_while_the_credential_stands(db: Pool) -> None:
    demo, other = await owner_id(db), await owner_id(db, "other")
    states = state.OwnedStates(db)
    asked = [(demo, PROOF), (demo, ""), (other, PROOF), (0, PROOF)]
    vehicles = [await name_of(db, "DEMO"), await name_of(db, "Second")]
    assert await asyncio.gather(*(states.list_vehicles(*each) for each in asked)) == [vehicles, None, None, None]


async def test_a_credential_that_is_gone_is_not_one_without_an_end(db: Pool) -> None:
    demo, end = await owner_id(db), datetime.now(UTC) + timedelta(hours=1)
    token = await tokens.create_token(db, demo, application="a", purpose="p", permit="*", expires_at=end)
    proof = tokens.hash_token(token).hex()
    assert await tokens.find_standing(db, demo, PROOF) == tokens.Standing(None)
    assert await tokens.find_standing(db, demo, proof) == tokens.Standing(end)
    await db.execute("UPDATE api_tokens SET expires_at = now()")
    await db.execute("UPDATE owners SET password_hash = 'new'")
    assert await tokens.find_standing(db, demo, proof) is None
    assert await tokens.find_standing(db, demo, PROOF) is None


async def test_history(db: Pool) -> None:
    demo = await owner_id(db)
    vehicle = await accounts.find_vehicle(db, demo, "DEMO")
    assert vehicle is not None
    for number, day in ((1, 3), (1, 2), (2, 2)):
        await send_record(db, "DEMO", "T", number, "ü", datetime(2026, 1, day, tzinfo=UTC))
    (summary,) = await legacy_history.summarise(db, vehicle.key, vehicle.vehicle_id, EVER)
    assert summary == RecordTypeSummary(
        "T", 2, 3, 3 * (1 + 2 + 4 + 20), datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    )
    spellings = await legacy_history.find_spellings(db, vehicle.key, "t ")
    assert spellings == ["T"]
    records = await legacy_history.read_page(db, vehicle.key, spellings, YEAR, None)
    assert [(record.recorded_at.day, record.number) for record in records] == [(2, 1), (2, 2), (3, 1)]
    assert records[0].data == "ü".encode()
    later = datetime(2026, 1, 2, tzinfo=UTC)
    assert len(await legacy_history.read_page(db, vehicle.key, spellings, later, None)) == 1
    assert await legacy_history.find_spellings(db, vehicle.key, "nul\0") == []
    assert await legacy_history.summarise(db, 0, "", EVER) == []
