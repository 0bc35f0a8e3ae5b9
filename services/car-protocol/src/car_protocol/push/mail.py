"""Notifications by mail, through the operator's SMTP server."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Final

import aiosmtplib

from car_protocol.push.channel import Refused, Unreachable
from ovms.db.push import Push

TIMEOUT: Final = 20.0
CONFIRMATION_PAGE: Final = "/mail/confirm"
"""Of the HTTP API."""
_FOR_GOOD: Final = 500


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server and how to get in."""

    host: str
    port: int
    security: str
    """`starttls`, `tls` or `none`."""
    sender: str
    user: str | None = None
    password: str | None = None


def write_mail(push: Push, sender: str) -> EmailMessage:
    """The mail of a notification. Tried again it has the same Message-ID, by which a mail server can tell."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = push.key
    mail["Subject"] = f"OVMS notification type {push.kind} from {push.vehicle_id}"
    mail["Date"] = format_datetime(push.created_at)
    mail["Message-ID"] = f"<push-{push.id}-{push.created_at.timestamp():.0f}@{sender.rpartition('@')[2].strip('<> ')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(push.text.replace("\0", ""))
    return mail


def write_question(address: str, code: str, sender: str, public_url: str) -> EmailMessage:
    """The mail that an address is asked by whether it wants notifications."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = "Confirm this address for OVMS notifications"
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("<> "))
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Auto-Submitted"] = "auto-generated"
    if public_url:
        how = f"To confirm it, open this page within a week:\n\n{public_url.rstrip('/')}{CONFIRMATION_PAGE}?code={code}\n"
    else:
        how = f"To confirm it, open the page {CONFIRMATION_PAGE} of that server within a week, and enter this code:\n\n{code}\n"
    mail.set_content(
        "The notifications of a vehicle are to be sent to this address by an Open Vehicles (OVMS) server.\n\n"
        f"{how}\nIf you do not know what this is about, do nothing: no other mail follows.\n"
    )
    return mail


class MailChannel:
    """Hands every notification to the mail server.

    Args:
        tls: whose certificates the server must have.
        public_url: where recipients reach the HTTP API, empty where that is not known.
    """

    timeout = 30.0  # The mail server is the operator's, and may take its time to look a recipient up.

    def __init__(self, server: MailServer, tls: ssl.SSLContext, *, public_url: str = "") -> None:
        self._public_url = public_url
        self._server = server
        self._tls = tls

    async def deliver(self, push: Push) -> None:
        """Hand it over.

        Raises:
            DeliveryError: the server does not take it.
        """
        await self._hand_over(write_mail(push, self._server.sender))

    async def ask(self, address: str, code: str) -> None:
        """Ask an address whether it wants notifications.

        Raises:
            DeliveryError: the server does not take it.
        """
        await self._hand_over(write_question(address, code, self._server.sender, self._public_url))

    async def _hand_over(self, mail: EmailMessage) -> None:
        try:
            await self._send(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            _refuse(error.recipients[0].code, "the mail address is refused")
        except aiosmtplib.SMTPDataError as error:
            _refuse(error.code, "the mail is refused")
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unreachable(f"the mail server: {type(error).__name__}") from error

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _send(self, mail: EmailMessage) -> None:
        server = self._server
        await aiosmtplib.send(
            mail,
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls,
            timeout=TIMEOUT,
        )


def _refuse(code: int, what: str) -> None:
    reason = f"{what} ({code})"
    raise Refused(reason) if code >= _FOR_GOOD else Unreachable(reason)
