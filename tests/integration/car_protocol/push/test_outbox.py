"""The outbox on a real database: in step with the history, shared by many, and safe when one of them dies."""

import asyncio
import time
from collections import Counter

import asyncpg
import pytest

from car_protocol.push.outbox import LEASE, Outbox, PostgresRows
from fixtures.cars import add_vehicles
from integration.car_protocol.push.conftest import Scene, eventually
from ovms.db.engine import Pool, open_pool
from ovms.db.push import MOST_SUBSCRIPTIONS, Push, remove, subscribe, take_due, unsubscribe
from ovms.db.writer import MOST_PUSHES, NotificationRow, write_notifications

NOW = int(time.time())


class Slow:
    """Keeps what it is given; one hand-over takes long enough for another replica to look."""

    def __init__(self) -> None:
        self.delivered: list[int] = []

    async def deliver(self, push: Push) -> None:
        await asyncio.sleep(0.002)
        self.delivered.append(push.id)

    async def close(self) -> None:
        """Nothing to close."""


class Hanging(Slow):
    """Never comes back."""

    async def deliver(self, push: Push) -> None:
        self.delivered.append(push.id)
        await asyncio.Event().wait()


def row(vehicle: int, number: int = 1, message: bytes = b"Atext", *, kept: bool = True, pushed: bool = True) -> NotificationRow:
    return NotificationRow(vehicle, number, NOW, message, NOW + 86_400 if kept else None, is_pushed=pushed)


async def history(pool: Pool) -> list[tuple[str, bytes]]:
    return [tuple(kept) for kept in await pool.fetch("SELECT record_type, data FROM history ORDER BY record_number")]


# ---- with the history


async def test_a_notification_is_kept_and_due_to_every_subscription(scene: Scene) -> None:
    await scene.subscribe("gcm", "token", "phone")
    await scene.subscribe("mail", "me@example.org", "mail")
    assert await write_notifications(scene.pool, [row(scene.vehicle, message=b"\xe4\x00,\xff")]) == 2
    assert await history(scene.pool) == [("*-Log-Notification", b"\xe4,\x00,\xff")]
    [push] = await take_due(scene.pool, "gcm", most=9, lease=9)
    assert (push.vehicle_id, push.app_id, push.key, push.message) == ("Demo-1", "phone", "token", b"\xe4\x00,\xff")
    assert push.created_at.timestamp() == NOW
    assert push.attempts == 1


async def test_a_statement_that_was_given_up_here_but_not_there_pushes_nothing_twice(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    rows = [row(scene.vehicle, number) for number in range(3)]
    assert await write_notifications(scene.pool, rows) == 3
    assert await write_notifications(scene.pool, [*rows, row(scene.vehicle, 3)]) == 1
    assert len(await history(scene.pool)) == await scene.waiting() == 4


@pytest.mark.parametrize(("kept", "pushed"), [(True, False), (False, True), (False, False), (True, True)])
async def test_what_is_not_kept_may_be_pushed_and_the_other_way_round(scene: Scene, *, kept: bool, pushed: bool) -> None:
    await scene.subscribe("gcm", "token")
    await write_notifications(scene.pool, [row(scene.vehicle, kept=kept, pushed=pushed)])
    assert len(await history(scene.pool)) == kept
    assert await scene.waiting() == pushed


async def test_nothing_is_due_without_a_subscription_or_a_vehicle(scene: Scene) -> None:
    assert await write_notifications(scene.pool, [row(scene.vehicle), row(10**6), row(10**6, kept=False)]) == 0
    assert len(await history(scene.pool)) == 1


async def test_all_or_nothing(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    bad = row(scene.vehicle, 2)._replace(notified_at=10**18)
    with pytest.raises(asyncpg.DataError):
        await write_notifications(scene.pool, [row(scene.vehicle), bad])
    assert await history(scene.pool) == []
    assert await scene.waiting() == 0


async def test_the_outbox_of_a_vehicle_is_bounded_and_that_of_others_free(scene: Scene, secret_keys: str) -> None:
    [other] = await add_vehicles(scene.pool, secret_keys, "Other-1")
    for vehicle in (scene.vehicle, other):
        for app in range(7):
            await subscribe(scene.pool, vehicle, f"app {app}", push_type="gcm", key_type="", key="token")
    flood = [row(scene.vehicle, number) for number in range(500)]
    assert await write_notifications(scene.pool, [*flood, row(other)]) == MOST_PUSHES + 7
    assert await write_notifications(scene.pool, [row(scene.vehicle, 501), row(other, 501)]) == 7
    assert len(await history(scene.pool)) == 503


async def test_a_vehicle_that_is_removed_takes_everything_with_it(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await write_notifications(scene.pool, [row(scene.vehicle)])
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


async def test_two_replicas_deliver_each_notification_once(scene: Scene, database_url: str) -> None:
    await scene.subscribe("gcm", "token")
    first, second = Slow(), Slow()
    async with await open_pool(database_url, size=4) as other_pool, scene.delivering("gcm", first):
        wake_first = scene.wake
        elsewhere = Outbox(PostgresRows(other_pool), {"gcm": second}, attempts=8, jitter=lambda: 0.0)
        task = asyncio.create_task(elsewhere.run())
        for batch in range(10):
            await write_notifications(scene.pool, [row(scene.vehicle, 30 * batch + number) for number in range(30)])
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
            [taken] = await take_due(scene.pool, "gcm", most=9, lease=9)
    assert taken.id != held["id"]


async def test_what_a_replica_died_with_is_delivered_when_its_lease_has_ended(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    dead, alive = Hanging(), Slow()
    outbox = Outbox(PostgresRows(scene.pool), {"gcm": dead}, attempts=8, jitter=lambda: 0.0)
    task = asyncio.create_task(outbox.run())
    await scene.notify(b"A1")
    outbox.wake()
    await eventually(lambda: _is(bool(dead.delivered)))
    for running in (task, *outbox._tasks):
        running.cancel()
    await asyncio.gather(task, *outbox._tasks, return_exceptions=True)

    assert await take_due(scene.pool, "gcm", most=9, lease=9) == []
    await scene.pool.execute("UPDATE push_outbox SET next_attempt_at = next_attempt_at - $1 * interval '1 second'", LEASE)
    async with scene.delivering("gcm", alive):
        await scene.is_empty()
    assert alive.delivered == dead.delivered


async def _is(value: bool) -> bool:
    return value


async def test_one_that_was_put_off_late_does_not_disturb_who_has_it_now(scene: Scene) -> None:
    await scene.subscribe("gcm", "token")
    await scene.notify(b"A1")
    rows = PostgresRows(scene.pool)
    [late] = await rows.take_due("gcm", most=1, lease=0)
    [now] = await rows.take_due("gcm", most=1, lease=60)
    assert (late.id, late.attempts, now.attempts) == (now.id, 1, 2)
    await rows.put_off(late, 0)
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
