"""What the services are sent, field by field as the apps read it."""

import hashlib
import hmac
import json
import re
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from car_protocol.push import apns, expo, fcm, mail, webhook
from unit.car_protocol.push.pushes import AT, push


def test_a_data_message_of_fcm() -> None:
    data = {"type": "A", "time": "2026-08-03 09:05:07", "title": "Demo-1", "message": "Car is on fire"}
    assert fcm.write_message(push()) == {"message": {"token": "ab" * 32, "data": data}}


def test_an_alert_of_apns() -> None:
    assert apns.write_payload(push()) == {"aps": {"alert": "Demo-1\nCar is on fire", "badge": 0, "sound": "default"}}


def test_a_message_of_expo() -> None:
    assert expo.write_message(push(key="ExponentPushToken[x]")) == {
        "to": "ExponentPushToken[x]",
        "title": "Open Vehicles Demo-1",
        "body": "Car is on fire",
        "sound": "default",
        "badge": 0,
        "data": {"vehicleid": "Demo-1", "alerttype": "A", "sent": int(AT.timestamp())},
    }


@pytest.mark.parametrize("write", [fcm.write_message, apns.write_payload, expo.write_message])
def test_a_long_text_is_cut_to_what_the_services_take(write: object) -> None:
    assert callable(write)
    assert 3500 < len(json.dumps(write(push(b"A" + b"\xc3\xa4\x01" * 5000)), ensure_ascii=False).encode()) <= 4096


@pytest.mark.parametrize("sent", [b"ACharging\rSOC: 75%", b"ACharging\r\nSOC: 75%", b"ACharging\nSOC: 75%"])
def test_lines_end_in_lf_wherever_a_text_is_pushed(sent: bytes) -> None:
    """A module sends CR in their place."""
    text = "Charging\nSOC: 75%"
    assert fcm.write_message(push(sent))["message"]["data"]["message"] == text
    assert apns.write_payload(push(sent))["aps"]["alert"] == f"Demo-1\n{text}"
    assert expo.write_message(push(sent))["body"] == text
    assert json.loads(webhook.write_body(push(sent)))["message"] == text
    assert mail.write_mail(push(sent, key="me@example.org"), "push@ovms.example").get_content() == text + "\n"


def test_a_mail() -> None:
    written = mail.write_mail(push("ABrände\rim Auto\0".encode(), key="me@example.org"), "OVMS <push@ovms.example>")
    assert written["From"] == "OVMS <push@ovms.example>"
    assert written["To"] == "me@example.org"
    assert written["Subject"] == "OVMS notification type A from Demo-1"
    assert written["Date"] == "Mon, 03 Aug 2026 09:05:07 +0000"
    assert written["Message-ID"] == f"<push-17-{AT.timestamp():.0f}@ovms.example>"
    assert written.get_content() == "Brände\nim Auto\n"


@pytest.mark.parametrize("kind", [b"\n", b"\r", b"\0", b"\xff"])
def test_a_mail_of_any_type_can_be_written(kind: bytes) -> None:
    written = mail.write_mail(push(kind + b"text", key="me@example.org"), "push@ovms.example")
    assert written["Subject"] == "OVMS notification type ? from Demo-1"


def test_a_web_hook_is_signed_over_time_and_body() -> None:
    body = webhook.write_body(push("AFlamme ä".encode()))
    assert json.loads(body) == {
        "id": 17,
        "vehicleid": "Demo-1",
        "type": "A",
        "time": "2026-08-03 09:05:07",
        "message": "Flamme ä",
    }
    expected = hmac.new(b"secret", b"1785747907." + body, hashlib.sha256).hexdigest()
    assert webhook.sign(b"secret", "1785747907", body) == f"v1={expected}"


@pytest.mark.parametrize(("said", "age", "is_right"), [(b"body", 0, True), (b"another", 0, False), (b"body", 400, False)])
def test_who_checks_a_signature_as_the_page_says_takes_ours_alone(said: bytes, age: int, is_right: bool) -> None:
    page = (Path(__file__).parents[4] / "docs/push.md").read_text()
    [checks] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    timestamp = str(int(time.time()) - age)
    given = {"secret": b"secret", "timestamp": timestamp, "body": b"body", "hmac": hmac, "hashlib": hashlib, "time": time}
    with nullcontext() if is_right else pytest.raises(AssertionError):
        exec(checks, given | {"signature": webhook.sign(b"secret", timestamp, said)})
