"""Mail addresses: who confirms them, and how many mails go to them."""

from collections.abc import Sequence

import pytest

from car_protocol.push.channel import DeliveryError, Refused, Unreachable
from car_protocol.push.confirmations import Confirmations
from car_protocol.storage.maintenance import Maintenance
from fixtures.cars import add_vehicles
from integration.car_protocol.push.conftest import Scene
from ovms.db import mail_addresses
from ovms.db.mail_addresses import KEPT, LIFETIME, MOST_ASKED, MOST_ASKED_OF_ADDRESS, use_code
from ovms.db.push import MOST_MAILS, Push, list_subscriptions, remove, subscribe, take_due


class Post:
    """Keeps codes by address; fails as it was told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.failures: list[DeliveryError] = []

    async def ask(self, address: str, code: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((address, code))


@pytest.fixture
def post() -> Post:
    return Post()


async def mail_to(scene: Scene, address: str, vehicle: int | None = None, app_id: str = "phone") -> None:
    """Subscribe an address that nobody has confirmed."""
    await subscribe(scene.pool, vehicle or scene.vehicle, app_id, push_type="mail", key_type="", key=address)


async def take(scene: Scene) -> list[Push]:
    return await take_due(scene.pool, "mail", most=100, lease=60, per_minute=1000)


async def days_pass(scene: Scene, days: float) -> None:
    await scene.pool.execute("UPDATE mail_addresses SET code_sent_at = code_sent_at - $1 * interval '1 day'", days)


async def test_an_address_is_asked_once_and_gets_nothing_else_before_it_is_confirmed(scene: Scene, post: Post) -> None:
    await mail_to(scene, "New@example.org")
    [listed] = await list_subscriptions(scene.pool, scene.vehicle)
    assert not listed.is_confirmed
    for _ in range(2):
        assert await Confirmations(scene.pool, post).send_due()
        await mail_to(scene, "new@example.org")
    [(address, code)] = post.sent
    assert address == "new@example.org"
    assert await scene.notify(b"A1") == 0
    assert await use_code(scene.pool, "another") is None
    assert await use_code(scene.pool, code) == address
    assert await scene.notify(b"A2") == 1
    assert [push.text for push in await take(scene)] == ["2"]
    [listed] = await list_subscriptions(scene.pool, scene.vehicle)
    assert listed.is_confirmed


async def test_the_database_has_no_code(scene: Scene, post: Post) -> None:
    await mail_to(scene, "new@example.org")
    await Confirmations(scene.pool, post).send_due()
    [(_, code)] = post.sent
    assert code not in str(await scene.pool.fetch("SELECT * FROM mail_addresses"))


async def test_a_code_confirms_for_a_week(scene: Scene, post: Post) -> None:
    await mail_to(scene, "new@example.org")
    await Confirmations(scene.pool, post).send_due()
    await days_pass(scene, LIFETIME / 86_400)
    assert await use_code(scene.pool, post.sent[0][1]) is None


async def test_who_subscribes_again_and_again_has_an_address_asked_a_few_times(scene: Scene, post: Post) -> None:
    for _ in range(3 * MOST_ASKED):
        await mail_to(scene, "new@example.org")
        await Confirmations(scene.pool, post).send_due()
        await days_pass(scene, 2)
    assert len(post.sent) == MOST_ASKED


async def test_many_owners_have_one_address_asked_a_few_times_a_day(scene: Scene, post: Post, secret_keys: str) -> None:
    for number in range(2 * MOST_ASKED_OF_ADDRESS):
        [vehicle] = await add_vehicles(scene.pool, secret_keys, f"Other-{number}")
        await mail_to(scene, "victim@example.org", vehicle)
    await Confirmations(scene.pool, post).send_due()
    assert len(post.sent) == MOST_ASKED_OF_ADDRESS
    await days_pass(scene, 1)
    await Confirmations(scene.pool, post).send_due()
    assert len(post.sent) == 2 * MOST_ASKED_OF_ADDRESS


async def test_who_has_unsubscribed_meanwhile_is_not_asked(scene: Scene, post: Post) -> None:
    await mail_to(scene, "new@example.org")
    await scene.pool.execute("DELETE FROM push_subscriptions")
    await Confirmations(scene.pool, post).send_due()
    assert post.sent == []


@pytest.mark.parametrize(("failure", "asked"), [(Unreachable("421"), 1), (Refused("550"), 0)])
async def test_a_mail_server_that_takes_no_question_is_tried_again(
    scene: Scene, post: Post, failure: DeliveryError, asked: int
) -> None:
    post.failures = [failure]
    await mail_to(scene, "new@example.org")
    assert await Confirmations(scene.pool, post).send_due() is isinstance(failure, Refused)
    assert await Confirmations(scene.pool, post).send_due()
    assert len(post.sent) == asked


async def test_an_owner_has_no_more_addresses_than_are_bounded(
    scene: Scene, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_addresses, "MOST_OF_OWNER", 3)
    for number in range(9):
        await mail_to(scene, f"{number}@example.org", app_id=str(number))
    assert await scene.pool.fetchval("SELECT count(*) FROM mail_addresses") == 3


async def test_an_address_that_is_not_confirmed_is_deleted_with_time_once_no_subscription_has_it(
    scene: Scene, post: Post
) -> None:
    housekeeping = Maintenance(scene.pool, audit_days=30, state_history=0)
    await scene.confirm("me@example.org")
    for name in ("kept", "ended", "never asked"):
        await mail_to(scene, f"{name.replace(' ', '-')}@example.org", app_id=name)
        if name == "ended":
            await Confirmations(scene.pool, post).send_due()
    await scene.pool.execute("DELETE FROM push_subscriptions WHERE app_id <> 'kept'")

    async def addresses() -> set[str]:
        await housekeeping.step()
        return {row[0].partition("@")[0] for row in await scene.pool.fetch("SELECT address FROM mail_addresses")}

    await days_pass(scene, KEPT / 86_400 - 1)
    assert await addresses() == {"me", "kept", "ended"}
    await days_pass(scene, 2)
    assert await addresses() == {"me", "kept"}
    await mail_to(scene, "ended@example.org")
    await Confirmations(scene.pool, post).send_due()
    assert post.sent[-1][0] == "ended@example.org"


async def test_what_is_confirmed_for_one_owner_is_so_for_no_other(scene: Scene, secret_keys: str) -> None:
    [vehicle] = await add_vehicles(scene.pool, secret_keys, "Other-1")
    await scene.confirm("me@example.org")
    for one in (scene.vehicle, vehicle):
        await mail_to(scene, "Me@example.org", one)
    [mine], [theirs] = [await list_subscriptions(scene.pool, one) for one in (scene.vehicle, vehicle)]
    assert (mine.is_confirmed, theirs.is_confirmed) == (True, False)


# ---- how many


async def deliver(scene: Scene, pushes: Sequence[Push]) -> list[str]:
    for push in pushes:
        await remove(scene.pool, push)
    return [push.text for push in pushes]


async def test_twenty_mails_an_hour_and_then_all_that_waits_in_one(scene: Scene) -> None:
    await scene.subscribe("mail", "me@example.org", "one")
    await scene.subscribe("mail", "Me@example.org", "two")
    sent = []
    for number in range(MOST_MAILS):
        await scene.notify(b"A%d" % number)
        sent += await deliver(scene, await take(scene))
        await scene.pool.execute("UPDATE push_outbox SET done_at = done_at - interval '2 minutes'")
    assert len(sent) == MOST_MAILS
    assert await take(scene) == []
    await scene.pool.execute("UPDATE mail_addresses SET hour_from = hour_from - interval '1 hour'")
    digests = await deliver(scene, await take(scene))
    assert [digest.splitlines() for digest in digests] == [[str(number) for number in range(10, 20)]] * 2
    assert await scene.waiting() == 0


async def test_a_mail_that_could_not_be_sent_leaves_all_of_it_in_the_outbox(scene: Scene) -> None:
    await scene.subscribe("mail", "me@example.org")
    await scene.notify(b"A1", b"I2", b"A3")
    [push] = await take(scene)
    assert push.text == "1\n3\n2"
    await scene.rows().release(push)
    assert await scene.waiting() == 3
    [again] = await take(scene)
    assert (again.text, again.attempts) == (push.text, 2)
