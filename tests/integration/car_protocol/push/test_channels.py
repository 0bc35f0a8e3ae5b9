"""Every channel against a local server that speaks its protocol: taken, tried again, refused, gone."""

import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from car_protocol.push.apns import ApnsChannel, SigningKey
from car_protocol.push.channel import Channel
from car_protocol.push.channels import new_client
from car_protocol.push.expo import PATH as EXPO_PATH
from car_protocol.push.expo import ExpoChannel
from car_protocol.push.fcm import GRANT, SCOPE, FcmChannel, ServiceAccount
from car_protocol.push.mail import MailChannel, MailServer
from car_protocol.push.webhook import WebhookChannel
from fixtures.push_services import Answer, HttpService, MailService, http_service, mail_service
from fixtures.waiting import until
from integration.car_protocol.push.conftest import Scene

NOW = 1_785_747_907.0
DEVICE = "ab" * 32
PLAIN = ssl.create_default_context()


@dataclass
class Far:
    """A channel and the service at its other end."""

    push_type: str
    key: str
    channel: Channel
    service: HttpService
    path: str
    taken: Answer
    gone: Answer
    refused: Answer

    def arrived(self) -> int:
        return len(self.service.sent_to(self.path))


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


@asynccontextmanager
async def fcm() -> AsyncIterator[Far]:
    async with http_service() as service:
        service.paths["/token"] = Answer(200, {"access_token": "the token", "expires_in": 3599, "token_type": "Bearer"})
        account = ServiceAccount("ovms-42", "push@ovms-42.iam.example", "key 7", RSA, f"{service.url}/token")
        channel = FcmChannel(new_client(PLAIN), account, service.url, lambda: NOW)
        detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}
        gone = {"error": {"code": 404, "message": "Not found.", "status": "NOT_FOUND", "details": [detail]}}
        refused = {"error": {"code": 400, "message": "Invalid JSON payload", "status": "INVALID_ARGUMENT"}}
        path = "/v1/projects/ovms-42/messages:send"
        taken = Answer(200, {"name": "projects/ovms-42/messages/1"})
        yield Far("gcm", "a:device", channel, service, path, taken, Answer(404, gone), Answer(400, refused))


@asynccontextmanager
async def apns(certificate: tuple[Path, Path]) -> AsyncIterator[Far]:
    async with http_service(certificate) as service:
        client = new_client(ssl.create_default_context(cafile=certificate[0]), http1=False, http2=True)
        key = SigningKey("KEYID", "TEAMID", EC)
        channel = ApnsChannel(client, key, url=service.url, topic="com.openvehicles.ovms", wall=lambda: NOW)
        gone = Answer(410, {"reason": "Unregistered", "timestamp": 1785747907000})
        refused = Answer(400, {"reason": "BadDeviceToken"})
        yield Far("apns", DEVICE, channel, service, f"/3/device/{DEVICE}", Answer(200), gone, refused)


@asynccontextmanager
async def expo() -> AsyncIterator[Far]:
    async with http_service() as service:
        channel = ExpoChannel(new_client(PLAIN), service.url, "access")
        error = {"status": "error", "message": "not a recipient", "details": {"error": "DeviceNotRegistered"}}
        too_big = {"status": "error", "message": "too big", "details": {"error": "MessageTooBig"}}
        taken = Answer(200, {"data": {"status": "ok", "id": "1"}})
        gone, refused = Answer(200, {"data": error}), Answer(200, {"data": [too_big]})
        yield Far("expo", "ExponentPushToken[x]", channel, service, EXPO_PATH, taken, gone, refused)


@asynccontextmanager
async def webhook() -> AsyncIterator[Far]:
    async with http_service() as service:
        client = new_client(PLAIN, trust_env=False)
        channel = WebhookChannel(client, b"secret", wall=lambda: NOW, allow_private=True)
        key = f"{service.url}/hook"
        yield Far("webhook", key, channel, service, "/hook", Answer(204), Answer(410), Answer(404))


@pytest.fixture(params=["fcm", "apns", "expo", "webhook"])
async def far(request: pytest.FixtureRequest, certificate: tuple[Path, Path], scene: Scene) -> AsyncIterator[Far]:
    async with AsyncExitStack() as stack:
        opened = (
            apns(certificate) if request.param == "apns" else {"fcm": fcm, "expo": expo, "webhook": webhook}[request.param]()
        )
        one = await stack.enter_async_context(opened)
        one.service.answer = one.taken
        await scene.subscribe(one.push_type, one.key)
        yield one


# ---- what all of them do


async def test_it_is_delivered_once(far: Far, scene: Scene) -> None:
    async with scene.delivering(far.push_type, far.channel) as outbox:
        assert await scene.notify(b"ACar is on fire") == 1
        await scene.is_empty()
    assert far.arrived() == 1
    assert (outbox.delivered, outbox.retried, outbox.dropped) == (1, 0, 0)


@pytest.mark.parametrize("failure", [Answer(503), Answer(500, {"x": 1}), Answer(429, {}, {"retry-after": "60"})], ids=str)
async def test_a_failure_that_passes_is_tried_again_later(far: Far, scene: Scene, failure: Answer) -> None:
    far.service.answers = [failure]
    async with scene.delivering(far.push_type, far.channel) as outbox:
        await scene.notify(b"ACar is on fire")
        await until(lambda: outbox.retried)
        attempts, wait = await scene.pool.fetchrow(
            "SELECT attempts, extract(epoch FROM paused_until - now())::float8 "
            "FROM push_outbox JOIN push_subscriptions USING (vehicle, app_id)"
        )
        assert attempts == 1
        assert wait == pytest.approx(60 if failure.status == 429 else 3.75, abs=2)
        await scene.make_due()
        await scene.is_empty()
    assert far.arrived() == 2
    assert (outbox.delivered, outbox.dropped) == (1, 0)
    assert await scene.subscribers() == ["phone"]


async def test_it_is_given_up_after_the_last_attempt(far: Far, scene: Scene) -> None:
    far.service.answer = Answer(503)
    async with scene.delivering(far.push_type, far.channel, attempts=2) as outbox:
        await scene.notify(b"ACar is on fire")
        await until(lambda: outbox.retried)
        await scene.make_due()
        await scene.is_empty()
    assert far.arrived() == 2
    assert (outbox.delivered, outbox.dropped) == (0, 1)
    assert await scene.subscribers() == ["phone"]


async def test_a_device_that_is_gone_unsubscribes_itself(far: Far, scene: Scene) -> None:
    await scene.subscribe("mail", "me@example.org", "mail")
    far.service.answers = [far.gone]
    async with scene.delivering(far.push_type, far.channel):
        await scene.notify(b"ACar is on fire")
        await scene.is_empty()
    assert await scene.subscribers() == ["mail"]


async def test_a_device_that_came_back_meanwhile_stays_subscribed(far: Far, scene: Scene) -> None:
    await scene.notify(b"ACar is on fire")
    [push] = await scene.rows().take_due(far.push_type, most=1, lease=60)
    await scene.subscribe(far.push_type, far.key + "/another")
    await scene.rows().unsubscribe_gone(push)
    assert await scene.subscribers() == ["phone"]


async def test_what_the_service_refuses_is_dropped_and_the_subscription_stays(far: Far, scene: Scene) -> None:
    far.service.answers = [far.refused]
    async with scene.delivering(far.push_type, far.channel) as outbox:
        await scene.notify(b"ACar is on fire")
        await scene.is_empty()
    assert (outbox.delivered, outbox.retried, outbox.dropped) == (0, 0, 1)
    assert await scene.subscribers() == ["phone"]


async def test_a_service_that_is_not_there_is_tried_again(far: Far, scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    key = "https://localhost:1/hook" if far.push_type == "webhook" else far.key
    far.channel.__dict__["_url"] = "https://localhost:1"
    await scene.subscribe(far.push_type, key)
    async with scene.delivering(far.push_type, far.channel) as outbox:
        await scene.notify(b"ACar is on fire")
        await until(lambda: outbox.retried)
    assert await scene.waiting() == 1
    told = "".join(capfd.readouterr())
    assert "push postponed, endpoint paused" in told
    assert far.key not in told


# ---- what each says


async def sent(far: Far, scene: Scene) -> Any:
    far.service.answer = far.taken
    await scene.subscribe(far.push_type, far.key)
    async with scene.delivering(far.push_type, far.channel):
        await scene.notify("AFlamme ä".encode())
        await scene.is_empty()
    [request] = far.service.sent_to(far.path)
    assert request.method == "POST"
    return request


async def test_fcm_gets_a_token_once_and_messages_with_it(scene: Scene) -> None:
    async with fcm() as far:
        request = await sent(far, scene)
        assert request.headers["authorization"] == "Bearer the token"
        assert request.json["message"]["token"] == "a:device"
        assert request.json["message"]["data"]["title"] == "Demo-1"
        assert request.json["message"]["data"]["message"] == "Flamme ä"
        [asked] = far.service.sent_to("/token")
        form = dict(pair.split("=") for pair in asked.body.decode().split("&"))
        assert form["grant_type"] == GRANT.replace(":", "%3A")
        claims = jwt.decode(
            form["assertion"],
            RSA.public_key(),
            ["RS256"],
            audience=f"{far.service.url}/token",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert (claims["iss"], claims["scope"], claims["exp"] - claims["iat"]) == ("push@ovms-42.iam.example", SCOPE, 3600)
        assert jwt.get_unverified_header(form["assertion"])["kid"] == "key 7"


async def test_fcm_that_refuses_the_token_is_asked_with_a_new_one(scene: Scene) -> None:
    async with fcm() as far:
        far.service.answers, far.service.answer = [Answer(401, {"error": {"code": 401}})], far.taken
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel) as outbox:
            await scene.notify(b"A1")
            await until(lambda: outbox.retried)
            await scene.notify(b"A2", b"A3")
            await scene.make_due()
            await scene.is_empty()
        assert len(far.service.sent_to("/token")) == 2


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(400, {"error": "invalid_grant"}), Answer(200, {}), Answer(200)], ids=str
)
async def test_fcm_without_a_token_is_tried_again(scene: Scene, answer: Answer) -> None:
    async with fcm() as far:
        far.service.paths["/token"] = answer
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel) as outbox:
            await scene.notify(b"A1")
            await until(lambda: outbox.retried)
        assert far.arrived() == 0


async def test_fcm_says_that_a_token_is_none(scene: Scene) -> None:
    async with fcm() as far:
        message = "The registration token is not a valid FCM registration token"
        far.service.answer = Answer(400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel):
            await scene.notify(b"A1")
            await scene.is_empty()
        assert await scene.subscribers() == []


async def test_fcm_that_does_not_know_the_project_unsubscribes_nobody(scene: Scene) -> None:
    """Our fault, not the devices'."""
    async with fcm() as far:
        far.service.answer = Answer(403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}})
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel):
            await scene.notify(b"A1")
            await scene.is_empty()
        assert await scene.subscribers() == ["phone"]


async def test_apns_over_http_2_with_a_signed_token(scene: Scene, certificate: tuple[Path, Path]) -> None:
    async with apns(certificate) as far:
        request = await sent(far, scene)
        assert request.http_version == "2"
        assert request.json == {"aps": {"alert": "Demo-1\nFlamme ä", "badge": 0, "sound": "default"}}
        assert request.headers["apns-topic"] == "com.openvehicles.ovms"
        assert request.headers["apns-push-type"] == "alert"
        assert request.headers["apns-priority"] == "10"
        scheme, token = request.headers["authorization"].split(" ")
        assert scheme == "bearer"
        assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "KEYID", "typ": "JWT"}
        claims = jwt.decode(token, EC.public_key(), ["ES256"], options={"verify_iat": False})
        assert claims == {"iss": "TEAMID", "iat": int(NOW)}


async def test_apns_token_is_made_once_and_anew_when_it_is_refused(scene: Scene, certificate: tuple[Path, Path]) -> None:
    async with apns(certificate) as far:
        far.service.answers = [Answer(200), Answer(200), Answer(403, {"reason": "ExpiredProviderToken"})]
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel) as outbox:
            await scene.notify(b"A1", b"A2")
            await scene.is_empty()
            first, second = (request.headers["authorization"] for request in far.service.requests)
            assert first == second
            await scene.notify(b"A3")
            await until(lambda: outbox.retried)
            await scene.make_due()
            await scene.is_empty()
        # An ES256 signature is never the same twice.
        assert far.service.requests[-1].headers["authorization"] != first
        assert outbox.delivered == 3


async def test_expo_with_the_token_of_an_account(scene: Scene) -> None:
    async with expo() as far:
        request = await sent(far, scene)
        assert request.headers["authorization"] == "Bearer access"
        assert request.json["to"] == "ExponentPushToken[x]"
        assert request.json["data"]["vehicleid"] == "Demo-1"


@pytest.mark.parametrize(
    "body", [None, {}, {"data": []}, {"data": "x"}, {"data": {"status": "error", "details": {"error": "MessageRateExceeded"}}}]
)
async def test_expo_that_talks_nonsense_or_is_in_a_hurry_is_tried_again(scene: Scene, body: Any) -> None:
    async with expo() as far:
        far.service.answer = Answer(200, body)
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel) as outbox:
            await scene.notify(b"A1")
            await until(lambda: outbox.retried)
        assert await scene.subscribers() == ["phone"]


async def test_a_web_hook_can_tell_who_called(scene: Scene) -> None:
    async with webhook() as far:
        request = await sent(far, scene)
        assert request.headers["host"] == far.service.url.removeprefix("http://")
        assert request.headers["content-type"] == "application/json"
        assert request.headers["ovms-timestamp"] == str(int(NOW))
        signed = request.headers["ovms-timestamp"].encode() + b"." + request.body
        assert request.headers["ovms-signature"] == "v1=" + hmac.new(b"secret", signed, hashlib.sha256).hexdigest()
        content = json.loads(request.body)
        assert (content["vehicleid"], content["type"], content["message"]) == ("Demo-1", "A", "Flamme ä")


async def test_a_web_hook_with_tls_is_called_at_its_address_by_its_name(scene: Scene, certificate: tuple[Path, Path]) -> None:
    async with http_service(certificate) as service:
        trusted = ssl.create_default_context(cafile=certificate[0])
        channel = WebhookChannel(new_client(trusted, trust_env=False), b"s", wall=lambda: NOW, allow_private=True)
        await scene.subscribe("webhook", f"{service.url}/hook")
        async with scene.delivering("webhook", channel) as outbox:
            await scene.notify(b"A1")
            await scene.is_empty()
        assert outbox.delivered == 1
        assert service.requests[0].path == "/hook"


async def test_a_web_hook_cannot_reach_what_is_private(scene: Scene) -> None:
    async with webhook() as far:
        channel = WebhookChannel(new_client(PLAIN, trust_env=False), b"secret", wall=lambda: NOW, allow_private=False)
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, channel) as outbox:
            await scene.notify(b"A1")
            await scene.is_empty()
        assert (outbox.dropped, far.service.requests) == (1, [])


async def test_a_web_hook_leads_nowhere_else_and_leaves_nothing_behind(scene: Scene) -> None:
    async with webhook() as far:
        far.service.answers = [Answer(307, None, {"location": "/other"}), Answer(200, None, {"set-cookie": "a=b"})]
        await scene.subscribe(far.push_type, far.key)
        async with scene.delivering(far.push_type, far.channel) as outbox:
            await scene.notify(b"A1")
            await scene.is_empty()
            await scene.notify(b"A2")
            await scene.is_empty()
            await scene.notify(b"A3")
            await scene.is_empty()
        assert [request.path for request in far.service.requests] == ["/hook"] * 3
        assert all("cookie" not in request.headers for request in far.service.requests)
        assert (outbox.delivered, outbox.dropped) == (2, 1)


# ---- mail


def mail_channel(service: MailService, tls: ssl.SSLContext = PLAIN, **other: Any) -> MailChannel:
    values: dict[str, Any] = {"security": "none", "sender": "ovms@example.org"}
    return MailChannel(MailServer("localhost", service.port, **values | other), tls)


async def test_a_mail_reaches_its_address(scene: Scene) -> None:
    async with mail_service() as service:
        await scene.subscribe("mail", "me@example.org")
        async with scene.delivering("mail", mail_channel(service)):
            await scene.notify("AFlamme ä".encode())
            await scene.is_empty()
    [(recipients, mail)] = service.mails
    assert recipients == ["me@example.org"]
    assert mail["From"] == "ovms@example.org"
    assert mail["Subject"] == "OVMS notification type A from Demo-1"
    assert mail.get_content().strip() == "Flamme ä"  # type: ignore[attr-defined]


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_a_mail_server_that_wants_tls_and_a_password(scene: Scene, certificate: tuple[Path, Path], password: str) -> None:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"user", b"right"), handled=False)

    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(*certificate)
    ours = ssl.create_default_context(cafile=certificate[0])
    async with mail_service(theirs, check) as service:
        await scene.subscribe("mail", "me@example.org")
        channel = mail_channel(service, ours, security="starttls", user="user", password=password)
        async with scene.delivering("mail", channel) as outbox:
            await scene.notify(b"A1")
            await until(lambda: outbox.delivered or outbox.retried)
    # A wrong password is the operator's to mend: nothing is lost.
    assert (outbox.delivered, outbox.retried) == ((1, 0) if password == "right" else (0, 1))


@pytest.mark.parametrize(("refusal", "counts"), [("451 later", (0, 1, 0)), ("550 nobody here", (0, 0, 1))])
async def test_a_mail_server_that_refuses_an_address(scene: Scene, refusal: str, counts: tuple[int, int, int]) -> None:
    async with mail_service() as service:
        service.refusals = [refusal]
        await scene.subscribe("mail", "me@example.org")
        async with scene.delivering("mail", mail_channel(service)) as outbox:
            await scene.notify(b"A1")
            await until(lambda: outbox.retried or outbox.dropped)
    assert (outbox.delivered, outbox.retried, outbox.dropped) == counts


async def test_a_mail_server_that_is_away(scene: Scene) -> None:
    async with mail_service() as service:
        pass
    await scene.subscribe("mail", "me@example.org")
    async with scene.delivering("mail", mail_channel(service)) as outbox:
        await scene.notify(b"A1")
        await until(lambda: outbox.retried)
