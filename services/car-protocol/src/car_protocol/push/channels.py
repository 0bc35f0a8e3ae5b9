"""The channels that are configured."""

import ssl
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import httpx
import structlog

from car_protocol.push.apns import ApnsChannel, SigningKey
from car_protocol.push.channel import Channel
from car_protocol.push.expo import ExpoChannel
from car_protocol.push.fcm import FcmChannel, ServiceAccount
from car_protocol.push.keys import read_ec_key
from car_protocol.push.mail import MailChannel, MailServer
from car_protocol.push.webhook import WebhookChannel
from car_protocol.settings import Settings
from ovms.errors import OvmsError
from ovms.subscriptions import APNS, EXPO, FCM, MAIL, WEBHOOK

TIMEOUT: Final = 20.0

Open = Callable[[], Channel | None]


class CredentialsUnreadable(OvmsError):
    """The file of a push service's credentials cannot be used."""


def open_channels(settings: Settings, wall: Callable[[], float]) -> dict[str, Channel]:
    """The channels by push type; which are missing is said once.

    Raises:
        CredentialsUnreadable: a file that a setting names is not what it should be.
    """
    channels = dict(_open_all(settings, wall))
    if missing := [push_type for push_type in (MAIL, FCM, APNS, EXPO, WEBHOOK) if push_type not in channels]:
        structlog.get_logger("push").info("push types that are not configured; what they get is dropped", types=missing)
    return channels


def new_client(tls: ssl.SSLContext | None = None, **options: Any) -> httpx.AsyncClient:
    """A client that follows nobody and remembers nothing."""
    # Its TLS is its own: a context knows the application protocols of one client only.
    nothing = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        verify=tls or httpx.create_ssl_context(), timeout=TIMEOUT, cookies=nothing, headers={"User-Agent": "OVMS"}, **options
    )


def _open_all(settings: Settings, wall: Callable[[], float]) -> Iterator[tuple[str, Channel]]:
    if settings.mail_host and settings.mail_from:
        yield MAIL, MailChannel(_mail_server(settings), httpx.create_ssl_context(), public_url=settings.public_url)
    if settings.fcm_credentials is not None:
        yield FCM, FcmChannel(new_client(), _account(settings.fcm_credentials), settings.fcm_url, wall)
    if settings.apns_key is not None:
        key = _signing_key(settings, settings.apns_key)
        client = new_client(http1=False, http2=True)
        yield APNS, ApnsChannel(client, key, url=settings.apns_url, topic=settings.apns_topic, wall=wall)
    if settings.expo:
        token = settings.expo_token.get_secret_value() if settings.expo_token else None
        yield EXPO, ExpoChannel(new_client(), settings.expo_url, token)
    if settings.webhook_secret is not None:
        # A proxy would look names up by itself; a connection that was kept would be one to another host's certificate.
        client = new_client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        secret = settings.webhook_secret.get_secret_value().encode()
        yield WEBHOOK, WebhookChannel(client, secret, wall=wall, allow_private=settings.webhook_private)


def _mail_server(settings: Settings) -> MailServer:
    return MailServer(
        settings.mail_host,
        settings.mail_port,
        settings.mail_security,
        settings.mail_from,
        settings.mail_user or None,
        settings.mail_password.get_secret_value() if settings.mail_password else None,
    )


def _account(path: Path) -> ServiceAccount:
    try:
        return ServiceAccount.load(path)
    except (OSError, ValueError) as error:
        raise CredentialsUnreadable(f"{path}: not a service account's file ({type(error).__name__})") from error


def _signing_key(settings: Settings, path: Path) -> SigningKey:
    if not (settings.apns_key_id and settings.apns_team_id):
        raise CredentialsUnreadable(f"{path}: its id and its team have to be set as well")
    try:
        key = read_ec_key(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise CredentialsUnreadable(f"{path}: not a signing key ({type(error).__name__})") from error
    return SigningKey(settings.apns_key_id, settings.apns_team_id, key)
