"""Message `p`, read as the reference reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.push.subscriptions import Subscription, read_subscription
from ovms.subscriptions import LONGEST_KEY, LONGEST_NAME

TOKEN = b"ab" * 32


def subscription(app_id: str, push_type: str, key_type: str, key: str, vehicle_id: str | None, password: bytes) -> Subscription:
    return Subscription(app_id, push_type, key_type, key, vehicle_id, password)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"id,gcm,production,DEMO,pass,token:x", ("id", "gcm", "production", "token:x", "DEMO", b"pass")),
        (b"id,gcm,production,DEMO,a,b,,c,token", ("id", "gcm", "production", "token", "DEMO", b"a,b,,c")),
        (b"id,gcm,,DEMO,p\xc3\xa4ss \xff,token", ("id", "gcm", "", "token", "DEMO", b"p\xc3\xa4ss \xff")),
        (b"me,mail,,DEMO,pass,me@example.org", ("me", "mail", "", "me@example.org", "DEMO", b"pass")),
        (b"id,apns,sandbox,DEMO,pass," + TOKEN, ("id", "apns", "production", TOKEN.decode(), "DEMO", b"pass")),
        (b"id,apns,,DEMO,pass," + TOKEN, ("id", "apns", "production", TOKEN.decode(), "DEMO", b"pass")),
        (b"id,expo,simple,ExponentPushToken[x-y]", ("id", "expo", "simple", "ExponentPushToken[x-y]", None, b"")),
        (b"id,expo,simple,DEMO,pass,Expo[x]", ("id", "expo", "simple", "Expo[x]", "DEMO", b"pass")),
        (b"id,gcm,simple,a,b", ("id", "gcm", "simple", "a,b", None, b"")),
        (b"id,webhook,simple,https://x.org/a?b=c", ("id", "webhook", "simple", "https://x.org/a?b=c", None, b"")),
    ],
)
def test_what_clients_send_is_read(data: bytes, expected: tuple[str, str, str, str, str | None, bytes]) -> None:
    asked = read_subscription(data)
    assert asked == subscription(*expected)
    assert not asked.is_ended


@pytest.mark.parametrize("data", [b"me,mail,,DEMO,pass,-", b"me,mail,simple,-"])
def test_a_dash_for_a_mail_address_ends_it(data: bytes) -> None:
    asked = read_subscription(data)
    assert asked is not None
    assert asked.is_ended


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"id",
        b"id,gcm,production",
        b"id,gcm,production,token",
        b"id,gcm,production,DEMO,token",
        b"id,gcm,production,DEMO,pass,",
        b"id,gcm,simple,",
        b",gcm,simple,token",
        b"i\0d,gcm,simple,token",
        b"i\xffd,gcm,simple,token",
        b"id,gcm,simple,to\0ken",
        b"id,gcm,simple,to ken",
        b"id,gcm,simple,-\r\nX: y",
        b"id,pager,simple,token",
        b"id,apns,simple," + TOKEN,
        b"id,apns,,DEMO,pass,{length=32",
        b"id,apns,,DEMO,pass,../../x",
        b"id,mail,simple,nobody",
        b"id,mail,simple,a@b\r\nBcc:c@d",
        b"id,mail,simple,a@b@c",
        b"id,mail,simple,a,b@c",
        b"id,mail,simple,a;b@c",
        b"id,mail,simple,A <a@b>",
        b"id,expo,simple,",
        b"id,gcm,simple,-x\n",
        b"id,webhook,simple,ftp://x.org/",
        b"id,webhook,simple,https://",
        b"id,webhook,simple,https://user:secret@x.org/",
        b"id,webhook,simple,https://x.org:99999/",
        b"id,webhook,simple,//x.org/",
        b"i" * (LONGEST_NAME + 1) + b",gcm,simple,token",
        b"id,gcm," + b"s" * (LONGEST_NAME + 1) + b",DEMO,pass,token",
        b"id,gcm,," + b"D" * (LONGEST_NAME + 1) + b",pass,token",
        b"id,gcm,simple," + b"t" * (LONGEST_KEY + 1),
    ],
)
def test_what_is_malformed_or_too_long_is_none(data: bytes) -> None:
    assert read_subscription(data) is None


@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_are_read_or_refused(data: bytes) -> None:
    asked = read_subscription(data)
    assert asked is None or "," not in asked.app_id + asked.push_type + asked.key_type


@given(password=st.binary(min_size=1, max_size=40), key=st.from_regex(r"[!-+\--~]+", fullmatch=True))
def test_the_password_may_be_anything(password: bytes, key: str) -> None:
    asked = read_subscription(b"id,gcm,,DEMO," + password + b"," + key.encode())
    assert asked is not None
    assert (asked.password, asked.key) == (password, key)


def test_neither_key_nor_password_shows() -> None:
    asked = read_subscription(b"id,gcm,,DEMO,secret-password,secret-token")
    assert "secret" not in repr(asked)
