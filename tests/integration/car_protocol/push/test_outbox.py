"""The outbox on a real database: in step with the history, shared by many, and safe when one of them dies."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest

from car_protocol.push.outbox import LEASE, Outbox
from fixtures.cars import add_vehicles
from integration.car_protocol.push.conftest import Scene, eventually
from ovms.db import push as db_push
from ovms.db import writer
from ovms.db.engine import Pool, open_pool
from ovms.db.push import (
    MOST_OF_ENDPOINT_AT_ONCE,
    MOST_OF_OWNER_AT_ONCE,
    MOST_SUBSCRIPTIONS,
    Push,
    pause,
    release,
    remove,
    remove_done,
    subscribe,
    take_due,
    unsubscribe,
)
from ovms.db.writer import MOST_INFOS_WAITING, MOST_WAITING, NotificationRow, write_notifications

NOW = int(time.time())


class Slow:
    """Keeps what it is given; one hand-over takes long enough for another replica to look."""

    timeout = 60.0

    def __init__(self) -> None:
        self.delivered: list[int] = []

    async def deliver(self, push: Push) -> None:
        await asyncio.sleep(0.002)
        self.delivered.append(push.id)

    async def close(self) -> None:
        """Nothing to close."""


class Together(Slow):
    """Delivers once another replica delivers too: both claim rows in any case."""

    def __init__(self, begun: asyncio.Barrier) -> None:
        super().__init__()
        self._begun = begun
        self._has_begun: asyncio.Task[int] | None = None

    async def deliver(self, push: Push) -> None:
        if self._has_begun is None:
            self._has_begun = asyncio.create_task(self._begun.wait())
        await asyncio.shield(self._has_begun)
        await super().deliver(push)


class Hanging(Slow):
    """Never comes back."""

    async def deliver(self, push: Push) -> None:
        self.delivered.append(push.id)
        await asyncio.Event().wait()


def row(vehicle: int, number: int = 1, message: bytes = b"", *, kept: bool = True, pushed: bool = True) -> NotificationRow:
    text = message or b"Atext %d" % number
    return NotificationRow(vehicle, number, NOW, text, NOW + 86_400 if kept else None, is_pushed=pushed)


async def write(pool: Pool, rows: Sequence[NotificationRow], repeat_after: float = 0) -> int:
    return await write_notifications(pool, rows, repeat_after=repeat_after)


async def take(pool: Pool, push_type: str, most: int = 9, lease: float = 9, per_minute: int = 1000) -> list[Push]:
    return await take_due(pool, push_type, most=most, lease=lease, per_minute=per_minute)


async def history(pool: Pool) -> list[tuple[str, bytes]]:
    return [tuple(kept) for kept in await pool.fetch("SELECT record_type, data FROM history ORDER BY record_number")]


# ---- with the history


async def test_a_notification_is_kept_and_due_to_every_subscription(scene: Scene) -> None:
    await scene.subscribe("gcm", "token", "phone")
    await scene.subscribe("mail", "me@example.org", "mail")
    assert await write(scene.pool, [row(scene.vehicle, message=b"\xe4\x00,\xff")]) == 2
    assert await history(scene.pool) == [("*-Log-Notification", b"\xe4,\x00,\xff")]
    [push] = await take(scene.pool, "gcm")
    assert (push.vehicle_id, push.app_id, push.key, push.message) == ("Demo-1", "phone", "token", b"\xe4\x00,\xff")
    assert push.created_at.timestamp() == NOW
    assert push.attempts == 1


async def test_a_statement_that_was_given_up_here_but_not_there_pushes_nothing_twice(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    rows = [row(scene.vehicle, number) for number in range(3)]
    assert await write(scene.pool, rows) == 3
    assert await write(scene.pool, [*rows, row(scene.vehicle, 3)]) == 1
    assert len(await history(scene.pool)) == await scene.waiting() == 4


@pytest.mark.parametrize(("kept", "pushed"), [(True, False), (False, True), (False, False), (True, True)])
async def test_what_is_not_kept_may_be_pushed_and_the_other_way_round(scene: Scene, *, kept: bool, pushed: bool) -> None:
    await scene.subscribe("gcm", "token")
    await write(scene.pool, [row(scene.vehicle, kept=kept, pushed=pushed)])
    assert len(await history(scene.pool)) == kept
    assert await scene.waiting() == pushed


async def test_nothing_is_due_without_a_subscription_or_a_vehicle(scene: Scene) -> None:
    assert await write(scene.pool, [row(scene.vehicle), row(10**6), row(10**6, kept=False)]) == 0
    assert len(await history(scene.pool)) == 1


async def test_all_or_nothing(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    bad = row(scene.vehicle, 2)._replace(notified_at=10**18)
    with pytest.raises(asyncpg.DataError):
        await write(scene.pool, [row(scene.vehicle), bad])
    assert await history(scene.pool) == []
    assert await scene.waiting() == 0


async def test_what_waits_for_a_subscription_is_bounded_and_alerts_have_places_of_their_own(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    infos = [row(scene.vehicle, number, b"Iinfo %d" % number) for number in range(500)]
    assert await write(scene.pool, infos) == MOST_INFOS_WAITING
    alerts = [row(scene.vehicle, 1000 + number, b"Aalert %d" % number) for number in range(500)]
    assert await write(scene.pool, alerts) == MOST_WAITING - MOST_INFOS_WAITING
    assert await write(scene.pool, [row(scene.vehicle, 2000), row(scene.vehicle, 2001, b"I")]) == 0
    assert len(await history(scene.pool)) == 1002
    assert [push.kind for push in await take(scene.pool, "gcm", most=2)] == ["A", "A"]
    [omitted] = await scene.pool.fetch("SELECT omitted FROM push_subscriptions")
    assert omitted["omitted"] == 0


async def test_the_next_push_says_how_many_found_no_place(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await write(scene.pool, [row(scene.vehicle, number, b"Iinfo %d" % number) for number in range(MOST_INFOS_WAITING + 5)])
    first, second = await take(scene.pool, "gcm", most=2)
    assert first.text == "info 0\n(5 more in the history)"
    assert second.text == "info 1"


async def test_what_waits_for_an_owner_is_bounded_and_that_of_others_free(
    scene: Scene, secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING_OF_OWNER", 30)
    [other] = await add_vehicles(scene.pool, secret_keys, "Other-1")
    for vehicle in (scene.vehicle, other):
        for app in range(4):
            await subscribe(scene.pool, vehicle, f"app {app}", push_type="gcm", key_type="", key="token")
    flood = [row(scene.vehicle, number) for number in range(500)]
    assert await write(scene.pool, [*flood, row(other)]) == 30 + 4
    assert await write(scene.pool, [row(scene.vehicle, 501), row(other, 501)]) == 4
    assert len(await history(scene.pool)) == 503


# ---- equal texts


async def test_equal_notifications_that_wait_are_pushed_once_with_their_number(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    assert await write(scene.pool, [row(scene.vehicle, number, b"ALow") for number in range(3)]) == 1
    assert await write(scene.pool, [row(scene.vehicle, 3, b"ALow"), row(scene.vehicle, 4, b"AHigh")]) == 1
    assert [push.text for push in await take(scene.pool, "gcm")] == ["Low (4 times)", "High"]
    assert len(await history(scene.pool)) == 5


async def test_what_was_pushed_a_moment_ago_is_held_back_and_counted(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await write(scene.pool, [row(scene.vehicle, 1, b"ALow")])
    [first] = await take(scene.pool, "gcm")
    assert first.text == "Low"
    for number in (2, 3):
        await write(scene.pool, [row(scene.vehicle, number, b"ALow")], repeat_after=60)
    await remove(scene.pool, first)
    await write(scene.pool, [row(scene.vehicle, 4, b"ALow")], repeat_after=60)
    assert await take(scene.pool, "gcm") == []
    await scene.make_due()
    [later] = await take(scene.pool, "gcm")
    assert later.text == "Low (3 times)"


async def test_a_subscription_that_ends_while_a_notification_is_written_keeps_nothing_out_of_the_history(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    async with scene.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("DELETE FROM push_subscriptions")
        writing = asyncio.create_task(write(scene.pool, [row(scene.vehicle)]))
        async with asyncio.timeout(5):
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await transaction.commit()
    assert await writing == 0
    assert len(await history(scene.pool)) == 1


# ---- pace and turns


async def test_a_burst_reaches_the_history_in_full_and_a_phone_at_its_pace_alerts_first(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    infos = [row(scene.vehicle, number, b"Iinfo %d" % number) for number in range(40)]
    await write(scene.pool, [*infos, row(scene.vehicle, 99, b"AFire")])
    taken = [push.text for _ in range(5) for push in await take(scene.pool, "gcm", per_minute=4)]
    assert [text.partition("\n")[0] for text in taken] == ["Fire", "info 0"]
    for _ in range(5):
        await scene.pool.execute("UPDATE push_outbox SET done_at = now(), taken_until = NULL WHERE taken_until > now()")
        taken += [push.text for push in await take(scene.pool, "gcm", per_minute=4)]
    assert taken[2:] == ["info 1", "info 2"]
    await scene.pool.execute("UPDATE push_outbox SET done_at = done_at - interval '1 minute'")
    assert [push.text for push in await take(scene.pool, "gcm", per_minute=4)] == ["info 3", "info 4"]
    assert len(await history(scene.pool)) == 41


async def hooks(scene: Scene, secret_keys: str, *vehicles: str) -> list[int]:
    """Vehicles of one owner, each with a web hook at a host of its own."""
    added = await add_vehicles(scene.pool, secret_keys, *vehicles)
    for vehicle in added:
        await subscribe(scene.pool, vehicle, "hook", push_type="webhook", key_type="", key=f"https://host-{vehicle}.example/x")
    return added


async def test_two_at_once_go_to_an_endpoint_and_owners_take_turns(scene: Scene, secret_keys: str) -> None:
    first = await hooks(scene, secret_keys, "A1", "A2", "A3", "A4", "A5", "A6")
    second = await hooks(scene, secret_keys, "B1")
    await write(scene.pool, [row(vehicle, number) for vehicle in first for number in range(5)])
    await write(scene.pool, [row(vehicle, number) for vehicle in second for number in range(5)])
    taken = await take(scene.pool, "webhook", most=6)
    counted = Counter(push.vehicle for push in taken)
    assert counted[second[0]] == MOST_OF_ENDPOINT_AT_ONCE
    assert max(counted.values()) == MOST_OF_ENDPOINT_AT_ONCE
    taken += await take(scene.pool, "webhook", most=100)
    counted = Counter(push.vehicle for push in taken)
    assert sum(counted[vehicle] for vehicle in first) == MOST_OF_OWNER_AT_ONCE
    assert max(counted.values()) == MOST_OF_ENDPOINT_AT_ONCE
    assert await take(scene.pool, "webhook", most=100) == []


async def test_an_endpoint_that_fails_is_paused_for_its_owner_as_a_whole_and_for_nobody_else(
    scene: Scene, secret_keys: str
) -> None:
    mine = await hooks(scene, secret_keys, "A1", "A2", "A3")
    theirs = await hooks(scene, secret_keys, "B1")
    for vehicle in (mine[1], theirs[0]):
        key = f"https://host-{mine[0]}.example/another"
        await subscribe(scene.pool, vehicle, "hook", push_type="webhook", key_type="", key=key)
    await write(scene.pool, [row(mine[0])])
    [failed] = await take(scene.pool, "webhook")
    await pause(scene.pool, failed, failures=3, seconds=60)
    await release(scene.pool, failed)
    await write(scene.pool, [row(vehicle, 7) for vehicle in (*mine, *theirs)])
    assert {push.vehicle for push in await take(scene.pool, "webhook")} == {mine[2], theirs[0]}
    await pause(scene.pool, failed, failures=0, seconds=0)
    assert {(push.vehicle, push.failures) for push in await take(scene.pool, "webhook")} == {(mine[0], 0)}


async def test_what_is_given_up_counts_for_the_pace_like_what_is_delivered(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await write(scene.pool, [row(scene.vehicle, number) for number in range(5)])
    for _ in range(2):
        for push in await take(scene.pool, "gcm", most=1, per_minute=2):
            await remove(scene.pool, push)
    assert await take(scene.pool, "gcm", per_minute=2) == []
    await remove_done(scene.pool, 60)
    assert await scene.pool.fetchval("SELECT count(*) FROM push_outbox WHERE done_at IS NOT NULL") == 2
    await remove_done(scene.pool, 0)
    assert await scene.pool.fetchval("SELECT count(*) FROM push_outbox WHERE done_at IS NOT NULL") == 0


async def test_a_vehicle_that_is_removed_takes_everything_with_it(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await write(scene.pool, [row(scene.vehicle)])
    await scene.pool.execute("DELETE FROM vehicles")
    assert await scene.waiting() == 0
    assert await scene.subscribers() == []


# ---- subscriptions


async def test_an_app_has_one_subscription_of_a_vehicle_the_last(scene: Scene) -> None:
    await scene.subscribe("gcm", "old")
    await scene.subscribe("apns", "new")
    kept = await scene.pool.fetch("SELECT app_id, push_type, key FROM push_subscriptions")
    assert [tuple(one) for one in kept] == [("phone", "apns", "new")]
    await unsubscribe(scene.pool, scene.vehicle, "phone")
    assert await scene.subscribers() == []


async def test_the_one_that_was_renewed_longest_ago_makes_room(scene: Scene) -> None:
    for number in range(MOST_SUBSCRIPTIONS):
        await scene.subscribe("gcm", "token", f"{number:03}")
    await scene.subscribe("gcm", "token", "000")
    await scene.subscribe("gcm", "token", "new")
    subscribers = await scene.subscribers()
    assert len(subscribers) == MOST_SUBSCRIPTIONS
    assert {"000", "new"} < set(subscribers)
    assert "001" not in subscribers


# ---- many replicas


async def test_two_replicas_deliver_each_notification_once(
    scene: Scene, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of one endpoint: more at once than the slots of one replica.
    for name in ("MOST_OF_ENDPOINT", "MOST_OF_ENDPOINT_AT_ONCE", "MOST_OF_OWNER_AT_ONCE"):
        monkeypatch.setattr(db_push, name, 1000)
    monkeypatch.setattr(writer, "MOST_WAITING", 1000)
    await scene.subscribe("gcm", "token")
    begun = asyncio.Barrier(2)
    first, second = Together(begun), Together(begun)
    async with await open_pool(database_url, size=4) as other_pool, scene.delivering("gcm", first):
        wake_first = scene.wake
        elsewhere = Outbox(scene.rows(other_pool), {"gcm": second}, attempts=8, jitter=lambda: 0.0)
        task = asyncio.create_task(elsewhere.run())
        for batch in range(10):
            await write(scene.pool, [row(scene.vehicle, 30 * batch + number) for number in range(30)])
            wake_first()
            elsewhere.wake()
        await scene.is_empty()
        await elsewhere.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    counted = Counter(first.delivered + second.delivered)
    assert len(counted) == 300
    assert set(counted.values()) == {1}
    assert first.delivered
    assert second.delivered


async def test_rows_that_another_holds_are_skipped_not_waited_for(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await scene.notify(b"A1", b"A2")
    async with scene.pool.acquire() as connection, connection.transaction():
        [held] = await connection.fetch("SELECT id FROM push_outbox ORDER BY id LIMIT 1 FOR UPDATE")
        async with asyncio.timeout(5):
            [taken] = await take(scene.pool, "gcm")
    assert taken.id != held["id"]


async def test_what_a_replica_died_with_is_delivered_when_its_lease_has_ended(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    dead, alive = Hanging(), Slow()
    outbox = Outbox(scene.rows(), {"gcm": dead}, attempts=8, jitter=lambda: 0.0)
    task = asyncio.create_task(outbox.run())
    await scene.notify(b"A1")
    outbox.wake()
    await eventually(lambda: _is(bool(dead.delivered)))
    for running in (task, *outbox._tasks):
        running.cancel()
    await asyncio.gather(task, *outbox._tasks, return_exceptions=True)

    assert await take(scene.pool, "gcm") == []
    await scene.pool.execute("UPDATE push_outbox SET taken_until = taken_until - $1 * interval '1 second'", LEASE)
    async with scene.delivering("gcm", alive):
        await scene.is_empty()
    assert alive.delivered == dead.delivered


async def _is(value: bool) -> bool:
    return value


async def test_a_replica_that_releases_a_push_late_takes_it_from_no_other(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await scene.notify(b"A1")
    rows = scene.rows()
    [late] = await rows.take_due("gcm", most=1, lease=0)
    [now] = await rows.take_due("gcm", most=1, lease=60)
    assert (late.id, late.attempts, now.attempts) == (now.id, 1, 2)
    await rows.release(late)
    assert await rows.take_due("gcm", most=1, lease=60) == []
    await remove(scene.pool, now)


async def test_what_is_of_no_channel_here_is_dropped(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    await scene.subscribe("gcm", "secret-token")
    await scene.subscribe("expo", "token", "other")
    channel = Slow()
    async with scene.delivering("expo", channel) as outbox:
        await scene.notify(b"A1")
        await scene.is_empty()
    assert outbox.dropped == len(channel.delivered) == 1
    assert "this push type is not configured" in capfd.readouterr().out
