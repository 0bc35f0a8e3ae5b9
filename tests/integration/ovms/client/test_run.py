"""What the commands of the terminal make of what a server answers, over real connections."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console

from fakes.api import EVENTS, JSON, FakeApi, fake_api
from ovms.client.access import Access
from ovms.client.api import Api
from ovms.client.errors import ClientError, NotDone, NotDoneYet, Refused, ServerAway
from ovms.client.run import give_command, show_vehicle, watch_vehicle
from ovms.local.ports import free_port

TOKEN = "c0ffee"
PROBLEM = '{"type":"x","title":"Vehicle unknown","status":404,"detail":"The caller has no such vehicle."}'


class Enough(Exception):
    """The test has seen what it wants."""


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with fake_api() as fake:
        yield fake


@pytest.fixture
def api(fake: FakeApi) -> Iterator[Api]:
    with Api(Access(fake.url, TOKEN)) as api:
        yield api


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def written(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def of_state(state: str, text: str | None = None) -> str:
    return json.dumps({"id": "7", "state": state, "text": text})


def test_a_command_is_sent_and_its_answer_shown(fake: FakeApi, api: Api, console: Console) -> None:
    fake.answers = [(200, JSON, of_state("succeeded", "Car locked"))]
    give_command(api, console, "DE/MO", "lock", {"pin": "1234"}, wait=5, queue=True)
    assert written(console) == "lock succeeded: Car locked\n"
    [asked] = fake.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/vehicles/DE%2FMO/commands")
    assert asked.body == {"kind": "lock", "arguments": {"pin": "1234"}, "queue": True}
    assert (asked.headers["Prefer"], asked.headers["Authorization"]) == ("wait=5", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("state", "error", "status"),
    [
        ("failed", NotDone, 1),
        ("unsupported", NotDone, 1),
        ("expired", NotDone, 1),
        ("cancelled", NotDone, 1),
        ("queued", NotDoneYet, 3),
        ("sent", NotDoneYet, 3),
        ("unknown", NotDoneYet, 3),
    ],
)
def test_what_is_not_done_says_so(
    fake: FakeApi, api: Api, console: Console, state: str, error: type[ClientError], status: int
) -> None:
    fake.answers = [(202, JSON, of_state(state, "Wrong\x1b PIN"))]
    with pytest.raises(error, match=f"lock {state}: Wrong. PIN") as raised:
        give_command(api, console, "DEMO", "lock", {}, wait=5, queue=False)
    assert (raised.value.status, "\x1b" in str(raised.value)) == (status, False)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, "application/problem+json", PROBLEM), r"Vehicle unknown \(404\): The caller has no such vehicle\."),
        ((500, JSON, "[]"), "the server answers 500"),
        ((200, "text/html", "<p>"), "what answers is not an OVMS server"),
        ((302, JSON, ""), "the server answers 302 Found"),
    ],
)
def test_refusals_are_one_line(fake: FakeApi, api: Api, console: Console, answer: tuple[int, str, str], words: str) -> None:
    fake.answers = [answer]
    with pytest.raises(Refused, match=words):
        show_vehicle(api, console, "DEMO", as_json=False)


@pytest.mark.parametrize(
    ("answer", "raises"),
    [
        ((502, "text/html", "<p>"), NotDoneYet),
        ((503, "text/html", "<p>"), ServerAway),
        ((504, "text/html", "<p>"), NotDoneYet),
        (None, NotDoneYet),
    ],
)
def test_what_became_of_a_command_without_an_answer_is_not_known(
    fake: FakeApi, api: Api, console: Console, answer: tuple[int, str, str] | None, raises: type[ClientError]
) -> None:
    """Unless it was not taken for certain; none: the connection breaks."""
    fake.answers = [answer or (200, JSON, "")]
    fake.breaks = answer is None
    with pytest.raises(raises):
        give_command(api, console, "DEMO", "lock", {}, wait=0, queue=False)


def test_nobody_answers(console: Console) -> None:
    with Api(Access(f"http://127.0.0.1:{free_port()}", TOKEN)) as api:
        for call in (lambda: show_vehicle(api, console, "DEMO", as_json=False), lambda: watch_vehicle(api, console, "DEMO")):
            with pytest.raises(ServerAway, match="does not answer"):
                call()


def test_a_stream_that_ends_is_taken_up_where_it_ended(fake: FakeApi, api: Api, console: Console) -> None:
    fake.answers = [(200, EVENTS, f'event: presence\nid: {number}\ndata: {{"apps":{number}}}\n\n') for number in (1, 2)]
    pauses = iter((None,))

    def pause(_: float) -> None:
        if next(pauses, Enough) is Enough:
            raise Enough

    with pytest.raises(Enough):
        watch_vehicle(api, console, "DEMO", pause=pause)
    assert [json.loads(line) for line in written(console).splitlines()] == [
        {"event": "presence", "data": {"apps": number}} for number in (1, 2)
    ]
    assert [asked.headers.get("Last-Event-ID") for asked in fake.asked] == [None, "1"]


def test_a_stream_is_asked_for_again_while_the_server_is_replaced(fake: FakeApi, api: Api, console: Console) -> None:
    event = (200, EVENTS, 'event: presence\nid: 1\ndata: {"apps":1}\n\n')
    fake.answers = [event, (502, "text/html", "<p>"), (503, "text/html", "<p>"), event]
    pauses = iter((None, None, None))

    def pause(_: float) -> None:
        if next(pauses, Enough) is Enough:
            raise Enough

    with pytest.raises(Enough):
        watch_vehicle(api, console, "DEMO", pause=pause)
    assert len(written(console).splitlines()) == 2
    assert [asked.headers.get("Last-Event-ID") for asked in fake.asked] == [None, "1", "1", "1"]


def test_a_stream_of_something_else_is_refused(fake: FakeApi, api: Api, console: Console) -> None:
    fake.answers = [(200, EVENTS, "data: hello\n\n")]
    with pytest.raises(Refused, match="not an OVMS server"):
        watch_vehicle(api, console, "DEMO")


def test_a_stream_that_is_refused_ends_it(fake: FakeApi, api: Api, console: Console) -> None:
    fake.answers = [(404, "application/problem+json", PROBLEM)]
    with pytest.raises(Refused, match="Vehicle unknown"):
        watch_vehicle(api, console, "DEMO")


INVALID = {
    "type": "/api/v1/problems/invalid-request",
    "title": "Invalid request",
    "status": 422,
    "detail": "A field is invalid.",
    "errors": [
        {"pointer": "#/kind", "detail": "It must be one of lock, unlock", "choices": ["lock", "unlock"]},
        {"pointer": "#/ttl", "detail": "It must be whole seconds from 1 to 86400"},
    ],
}


@pytest.mark.parametrize(("kind", "suggestion"), [("lokc", "; did you mean lock?"), ("fly", "")])
def test_an_invalid_command_is_explained_field_by_field(
    fake: FakeApi, api: Api, console: Console, kind: str, suggestion: str
) -> None:
    fake.answers = [(422, JSON, json.dumps(INVALID))]
    with pytest.raises(Refused) as raised:
        give_command(api, console, "DEMO", kind, {}, wait=5, queue=False)
    assert str(raised.value).splitlines() == [
        "Invalid request (422)",
        f"  kind: It must be one of lock, unlock{suggestion}",
        "  ttl: It must be whole seconds from 1 to 86400",
    ]
