"""What a log line does not show, and what it does."""

from typing import Any

import pytest

from fixtures.linear_time import check_linear
from ovms.redaction import MASK, Redactor

TOKEN = "0123456789abcdef" * 4
SESSION = "A" * 40 + "_-z"
KEY = "k1:" + "B" * 43 + "="


def alias(name: str) -> str:
    return f"<{name.upper()}>"


def shown(**line: Any) -> dict[str, Any]:
    return dict(Redactor(alias)(None, "info", line))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "PIN",
        "token",
        "x-api-token",
        "authorization",
        "Cookie",
        "latitude",
        "position",
        "email",
        "data",
    ],
)
def test_fields_are_masked_by_their_names(name: str) -> None:
    assert shown(**{name: "hush"}) == {name: MASK}
    assert shown(more=[{name: b"hush"}]) == {"more": [{name: MASK}]}


@pytest.mark.parametrize("name", ["reason", "attempts", "ping", "spinning", "keyboard", "platform"])
def test_other_fields_are_not(name: str) -> None:
    assert shown(**{name: "3 cars"}) == {name: "3 cars"}


def test_who_is_spoken_of_has_another_name_everywhere() -> None:
    told = shown(vehicle="Demo", vehicles=["demo", "EV2"], app=b"phone", user="anna")
    assert told == {"vehicle": "<DEMO>", "vehicles": ["<DEMO>", "<EV2>"], "app": "<PHONE>", "user": "<ANNA>"}
    assert shown(channel="b'ovms:{DEMO}:17:messages'") == {"channel": "b'ovms:{<DEMO>}:17:messages'"}
    assert shown(vehicles=3, vehicle=None) == {"vehicles": 3, "vehicle": None}


def test_who_is_spoken_of_has_his_own_name_where_that_is_wanted() -> None:
    assert Redactor(None)(None, "info", {"vehicle": "Demo", "password": "x"}) == {"vehicle": "Demo", "password": MASK}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ovms:hush@db/ovms refused", "postgresql://***@db/ovms refused"),
        ("redis://:hush@10.0.0.1:6379/0", "redis://***@10.0.0.1:6379/0"),
        ("GET /api/status/DEMO?username=anna&password=hush&x=1", "GET /api/status/DEMO?username=anna&password=***&x=1"),
        ("{'password': 'hush', 'n': 1}", "{'password': '***', 'n': 1}"),
        ("Authorization: Bearer hushhush", "Authorization: ***"),
        ("asked with Basic ZGVtbzpkZW1v", "asked with Basic ***"),
        ("Cookie: ovmsapisession=hush", "Cookie: ***"),
        ("b'MP-A 1 anna hush *'", "b'MP-A ***'"),
        ("AP-C 0 VIN1 hush", "AP-C ***"),
        ("null value\nDETAIL:  Failing row contains (1, hush).\nHINT: none", "null value\nDETAIL:  ***\nHINT: none"),
        (f"unknown {TOKEN}", "unknown ***"),
        (f"session '{SESSION}'", "session '***'"),
        (f"keys {KEY}", "keys k1:***"),
        ("L22.280868,114.160598,131.4,36.1", "L***,131.4,36.1"),
        ("latitude=22.28", "latitude=***"),
        ("550 <anna.b+c@mail.example.org> unknown", "550 <***> unknown"),
        ("unknown: anna@example.org.", "unknown: ***."),
        ("anna@example.org+bert@example.org", "***"),
        ("22.280868,114.160598anna@example.org", "******"),
        ("1http://anna:hush@db", "1http://***@db"),
        ("http://a/?next=http://anna:hush@db&pin=1", "http://***@db&pin=***"),
        ("http://a/?password=hush", "http://a/?password=***"),
    ],
)
def test_texts_are_masked_by_known_shapes(text: str, expected: str) -> None:
    assert shown(event=text) == {"event": expected}
    assert shown(exception=[text]) == {"exception": [expected]}
    assert shown(error=RuntimeError(text)) == {"error": expected}


@pytest.mark.parametrize(
    "text",
    [
        "a vehicle's password cannot be opened",
        "the key is invalid: 3 of 4",
        "ping: 12 ms, 3.5, 4.25",
        "a secret was sealed under the key 'k1'",
        "3 tokens of 2 owners",
        "version 1.25, 2.00",
        "0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a",
    ],
)
def test_other_texts_are_not(text: str) -> None:
    assert shown(event=text) == {"event": text}


def test_what_is_nested_too_deep_or_of_another_kind_is_a_text() -> None:
    deep: Any = "password=hush"
    for _ in range(50):
        deep = [deep]
    assert "hush" not in str(shown(reason=deep))
    assert shown(reason=1.5, is_on=True, when=b"x") == {"reason": 1.5, "is_on": True, "when": "b'x'"}


PIECES = [
    *(
        "a",
        "a.",
        "a-",
        "a_",
        "a@",
        "a@a.",
        "@",
        "é",
        "1",
        "1.",
        "1.234",
        "1.234,",
        " ",
        "\n",
        '"',
        ":",
        "=",
        "://",
        "a://",
        "a.://",
    ),
    *(
        "pin",
        "pin ",
        "pin:",
        "pin=",
        "a_pin",
        "basic ",
        "bearer",
        "MP-A ",
        "AP-C 0",
        "DETAIL:",
        "ovms:{",
        "ovms:{a",
        "0" * 43,
        "é@é",
    ),
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("head", ["", "pin=", "ovms:{"])
def test_a_text_is_masked_in_linear_time(head: str, piece: str) -> None:
    redactor = Redactor(alias)

    def reader(size: int) -> Any:
        text = head + "=" + piece * (size // len(piece))
        return lambda: redactor.text(text)

    check_linear(reader)
