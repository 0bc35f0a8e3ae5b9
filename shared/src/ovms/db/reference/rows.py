"""What a row of the reference becomes here, or why it cannot. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ovms.account_rules import check_owner_name
from ovms.db.reference.source import Row, SourceTable
from ovms.db.tokens import looks_like_token
from ovms.errors import IdentityError, OvmsError
from ovms.identity import check_vehicle_id
from ovms.subscriptions import APNS, EXPO, FCM, MAIL, has_form

OWNERS: Final = SourceTable("ovms_owners", ("owner",), ("owner", "name", "mail", "pass", "status", "deleted"))
CARS: Final = SourceTable(
    "ovms_cars",
    ("owner", "vehicleid"),
    ("owner", "vehicleid", "carpass", "v_ptoken", "v_lastupdate", "deleted"),
)
MESSAGES: Final = SourceTable(
    "ovms_carmessages",
    ("owner", "vehicleid", "m_code"),
    ("owner", "vehicleid", "m_code", "m_valid", "m_msgtime", "m_paranoid", "m_ptoken", "m_msg"),
)
HISTORY: Final = SourceTable(
    "ovms_historicalmessages",
    ("owner", "vehicleid", "h_recordtype", "h_recordnumber", "h_timestamp"),
    ("owner", "vehicleid", "h_recordtype", "h_recordnumber", "h_timestamp", "h_data", "h_expires"),
)
TOKENS: Final = SourceTable(
    "ovms_apitokens",
    ("owner", "token"),
    ("owner", "token", "application", "purpose", "permit", "created", "refreshed", "lastused"),
)
SUBSCRIPTIONS: Final = SourceTable(
    "ovms_notifies",
    ("owner", "vehicleid", "appid"),
    ("owner", "vehicleid", "appid", "pushtype", "pushkeytype", "pushkeyvalue", "lastupdated", "active"),
)
CONFIGURATIONS: Final = SourceTable(
    "ovms_autoprovision", ("ap_key",), ("ap_key", "ap_stoken", "ap_sdigest", "ap_msg", "deleted", "owner")
)

LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Nothing is kept beyond."""
LONGEST_RECORD: Final = 964
"""Digits of base64 that a module receives of its configuration (ovms.admin.configuration)."""

_CODE: Final = re.compile(r"[!-~]\Z")
_WORD: Final = re.compile(r"[!-~]+\Z")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
_DIGEST_LENGTHS: Final = (22, 24)
"""16 bytes in base64: the reference's program writes it without padding."""
_PUSH_TYPES: Final = frozenset({APNS, EXPO, FCM, MAIL})


class LeftOut(OvmsError):
    """A row has no place here; the message says why, the same for all rows of which it is true."""


@dataclass(frozen=True, slots=True)
class Owner:
    number: int
    name: str
    email: str
    password: str = field(repr=False)
    """As it is stored: a hash, or where accounts were simple ones the password itself."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    owner: int
    vehicle_id: str
    password: bytes = field(repr=False)
    paranoid_token: str


@dataclass(frozen=True, slots=True)
class Message:
    code: str
    data: bytes
    received_at: datetime
    is_paranoid: bool
    paranoid_token: str
    is_valid: bool


@dataclass(frozen=True, slots=True)
class Record:
    record_type: str
    number: int
    recorded_at: datetime
    data: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    owner: int
    token: str = field(repr=False)
    application: str
    purpose: str
    permit: str
    created_at: datetime | None
    refreshed_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    app_id: str
    push_type: str
    key_type: str
    key: str = field(repr=False)
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Configuration:
    key: str
    owner: int
    token: str
    digest: str
    record: str


def owner_of(row: Row) -> int:
    """The number of the owner of a row."""
    return int(row["owner"])


def vehicle_of(row: Row) -> tuple[int, str]:
    """Owner and vehicle of a row, so that two spellings are equal as they are to MySQL."""
    return owner_of(row), row["vehicleid"].decode("utf-8", "replace").rstrip(" ").upper()


def read_owner(row: Row) -> Owner:
    """An owner who can sign in there.

    Raises:
        LeftOut: he cannot, or has no name that he can have here.
    """
    if row["deleted"] != b"0":
        raise LeftOut("deleted there")
    if row["status"] != b"1":
        raise LeftOut("blocked there")
    if not row["name"]:
        raise LeftOut("without a name")
    try:
        name = check_owner_name(_text(row, "name"))
    except IdentityError:
        raise LeftOut("a name that no owner can have here") from None
    email = row["mail"].decode("utf-8", "replace")
    return Owner(owner_of(row), name, email if email.isprintable() else "", row["pass"].decode("utf-8", "replace"))


def read_vehicle(row: Row) -> Vehicle:
    """A vehicle.

    Raises:
        LeftOut: it has no id or password that it can have here.
    """
    if row["deleted"] != b"0":
        raise LeftOut("deleted there")
    try:
        vehicle_id = check_vehicle_id(row["vehicleid"].decode("utf-8", "replace"))
    except IdentityError:
        raise LeftOut("an id that no vehicle can have here") from None
    if not row["carpass"]:
        raise LeftOut("without a password")
    return Vehicle(owner_of(row), vehicle_id, row["carpass"], _text(row, "v_ptoken"))


def read_message(row: Row) -> Message:
    """The newest message of a code.

    Raises:
        LeftOut: its code is no character, or nobody knows when it came.
    """
    code = row["m_code"].decode("utf-8", "replace")
    if not _CODE.match(code):
        raise LeftOut("a code that no message has")
    received_at = _existing(row["m_msgtime"])
    paranoid = row["m_paranoid"] == b"1"
    return Message(
        code, row["m_msg"], received_at, paranoid, _text(row, "m_ptoken") if paranoid else "", row["m_valid"] == b"1"
    )


def read_record(row: Row, now: datetime) -> Record:
    """A history record.

    Raises:
        LeftOut: it has expired, or has a time that does not exist.
    """
    recorded_at, expires_at = _existing(row["h_timestamp"]), _existing(row["h_expires"])
    if expires_at <= now:
        raise LeftOut("expired")
    # As car_protocol keeps what is not UTF-8.
    record_type = row["h_recordtype"].decode("utf-8", "replace").replace("\0", "")
    return Record(record_type, int(row["h_recordnumber"]), recorded_at, row["h_data"], min(expires_at, LATEST))


def read_token(row: Row) -> Token:
    """An API token.

    Raises:
        LeftOut: it is none.
    """
    token = row["token"].decode("utf-8", "replace").lower()
    if not looks_like_token(token):
        raise LeftOut("not 64 hexadecimal digits")
    application, purpose, permit = (_text(row, name) for name in ("application", "purpose", "permit"))
    created, refreshed, last_used = (_moment(row[name]) for name in ("created", "refreshed", "lastused"))
    return Token(owner_of(row), token, application, purpose, permit, created, refreshed, last_used)


def read_subscription(row: Row) -> Subscription:
    """Who gets the notifications of a vehicle.

    Raises:
        LeftOut: nobody does, or by no way that there is here.
    """
    if row["active"] != b"1":
        raise LeftOut("not active")
    app_id, push_type, key_type, key = (_text(row, name) for name in ("appid", "pushtype", "pushkeytype", "pushkeyvalue"))
    if push_type not in _PUSH_TYPES:
        raise LeftOut("of a push type that is not delivered here")
    if not app_id or not has_form(push_type, key):
        raise LeftOut("without an app or a key that can be one")
    # As car_protocol.push keeps what an iPhone asks for.
    return Subscription(app_id, push_type, "production" if push_type == APNS else key_type, key, _moment(row["lastupdated"]))


def read_configuration(row: Row) -> Configuration:
    """A configuration for a module that asks for it.

    Raises:
        LeftOut: no module could ask for it or read it.
    """
    if row["deleted"] != b"0":
        raise LeftOut("deleted there")
    key, token, digest, record = (_text(row, name) for name in ("ap_key", "ap_stoken", "ap_sdigest", "ap_msg"))
    if not _WORD.match(key) or not _WORD.match(token):
        raise LeftOut("a key or a token that is no word")
    if not (_BASE64.match(digest) and len(digest) in _DIGEST_LENGTHS):
        raise LeftOut("a digest that is none")
    if not (_BASE64.match(record) and len(record) <= LONGEST_RECORD):
        raise LeftOut("empty, not base64, or longer than a module receives")
    return Configuration(key, owner_of(row), token, digest, record)


def _text(row: Mapping[str, bytes], name: str) -> str:
    try:
        text = row[name].decode()
    except UnicodeDecodeError:
        raise LeftOut("text that is not UTF-8") from None
    if "\0" in text:
        raise LeftOut("text with a NUL")
    return text


def _existing(written: bytes) -> datetime:
    moment = _moment(written)
    if moment is None:
        raise LeftOut("a time that does not exist")
    return moment


def _moment(written: bytes) -> datetime | None:
    """A time in UTC; None for one that does not exist, `0000-00-00` above all."""
    try:
        return datetime.fromisoformat(written.decode("ascii")).replace(tzinfo=UTC)
    except ValueError:
        return None
