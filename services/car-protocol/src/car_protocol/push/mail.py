"""Notifications by mail, through the operator's SMTP server."""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from car_protocol.push.channel import Refused, Unreachable
from ovms.db.push import Push

TIMEOUT: Final = 20.0
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


class MailChannel:
    """Hands every notification to the mail server.

    Args:
        tls: whose certificates the server must have.
    """

    timeout = 30.0  # The mail server is the operator's, and may take its time to look a recipient up.

    def __init__(self, server: MailServer, tls: ssl.SSLContext) -> None:
        self._server = server
        self._tls = tls

    async def deliver(self, push: Push) -> None:
        """Hand it over.

        Raises:
            DeliveryError: the server does not take it.
        """
        try:
            await self._send(write_mail(push, self._server.sender))
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
