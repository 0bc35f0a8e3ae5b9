"""Every curl line of the API's documentation, as it stands there, on the stack that `make run` starts."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from api_gateway.app import make_api
from api_gateway.documentation.openapi import make_document
from fixtures.stack import Stack
from ovms.auth.published import OWNER, OWNER_PASSWORD

DOCUMENT: Final[dict[str, Any]] = make_document(make_api())
# In backticks, also over several lines, or in a block of code.
LINE: Final = re.compile(r"`(curl [^`]+)`|^ {4}(curl .+)$", re.MULTILINE)
# What one line makes another may remove.
ORDER: Final = {"post": 0, "put": 1, "patch": 2, "get": 3, "delete": 4}
OFFERED: Final = "ALICECAR"
"""A vehicle that is offered to `bob`."""
AWAY: Final = "AWAY"
"""A vehicle that nobody drives."""
TIMED_OUT: Final = 28
"""curl's exit status where a stream has not ended in time: it does not end."""


def lines_of(text: str) -> list[str]:
    return [" ".join((found[1] or found[2]).split()) for found in LINE.finditer(text)]


def documented() -> Iterator[tuple[str, str, str]]:
    """The method, the path and each line of every call."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            for line in lines_of(operation["description"]):
                yield method, path, line


# Nobody may sign up unless a setting lets him.
OTHERWISE: Final = {("post", "/api/v1/accounts"): 403}
# Of whom the documentation tells beside the demo owner, and his password there.
OTHERS: Final = {"alice": "a-good-one", "bob": "geheim-1"}
# What stands for something that is made first, and how.
MADE_UP: Final = "c0ffee0123456789"
MAKERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "/api/v1/account/tokens/{identifier}": ("/api/v1/account/tokens", {"scopes": ["read"]}),
    "/api/v1/vehicles/{vehicle_id}/links/{identifier}": (
        "/api/v1/vehicles/DEMO/links",
        {"expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ),
}

LINES: Final = sorted(documented(), key=lambda found: ORDER[found[0]])


def test_every_typed_call_and_every_command_has_a_line() -> None:
    wanted = {
        (method, path)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if path.startswith("/api/v1/") or "control" in operation["tags"]
    }
    assert wanted - {(method, path) for method, path, _ in LINES} == set()


@pytest.fixture(scope="module")
def stack(demo_stack: Stack) -> Iterator[Stack]:
    """A stack with everybody of whom the documentation tells."""
    for name, password in OTHERS.items():
        assert demo_stack.ovms("owner", "add", name, typed=f"{password}\n").returncode == 0
    assert demo_stack.ovms("vehicle", "add", OFFERED, "--owner", OWNER, typed="of no module\n").returncode == 0
    offer = {"auth": (OWNER, OWNER_PASSWORD), "json": {"scopes": ["read"]}, "timeout": 30}
    httpx.put(f"{demo_stack.http_url}/api/v1/vehicles/{OFFERED}/shares/bob", **offer).raise_for_status()
    yield demo_stack
    demo_stack.ovms("vehicle", "remove", OFFERED, "--yes")
    for name in OTHERS:
        demo_stack.ovms("owner", "remove", name, "--yes")


@pytest.mark.parametrize(("method", "path", "line"), LINES, ids=[f"{method} {path}" for method, path, _ in LINES])
def test_a_line_does_what_it_says(stack: Stack, method: str, path: str, line: str) -> None:
    made = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    assert re.search(rf"127\.0\.0\.1:6868{re.sub('{.*?}', '[^/?]+', made)}(?=[?' ]|$)", line), "it is of another call"
    if "$COMMAND" in line:
        line = line.replace("/DEMO/", f"/{AWAY}/").replace("$COMMAND", queued(stack))
    if MADE_UP in line:
        line = line.replace(MADE_UP, make(stack, *MAKERS[path])["identifier"])
    status = run(line, stack)
    wanted = OTHERWISE.get((method, path))
    assert status == wanted if wanted else 200 <= status < 300
    if path == "/api/v1/account/password":
        assert stack.ovms("owner", "password", "alice", typed=f"{OTHERS['alice']}\n").returncode == 0


@functools.cache
def queued(stack: Stack) -> str:
    """The id of a command that stays queued, since its vehicle is away."""
    assert stack.ovms("vehicle", "add", AWAY, "--owner", OWNER, typed="of no module\n").returncode == 0
    return str(make(stack, f"/api/v1/vehicles/{AWAY}/commands", {"kind": "lock", "queue": True})["id"])


def make(stack: Stack, path: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Make something over the API."""
    answer = httpx.post(stack.http_url + path, auth=(OWNER, OWNER_PASSWORD), json=order, timeout=30)
    return dict(answer.raise_for_status().json())


def run(line: str, stack: Stack) -> int:
    """The status that a line is answered with; a stream is left after a while."""
    options = "--silent --output /dev/null --write-out '%{http_code}'" + (" --max-time 1" if " -N " in line else "")
    command = line.replace(":6868/", f":{stack.http_port}/").replace("curl ", f"curl {options} ", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or (" -N " in line and done.returncode == TIMED_OUT), done.stderr
    return int(done.stdout)
