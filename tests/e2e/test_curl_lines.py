"""Every curl line of the API's documentation, as it stands there, on the stack that `make run` starts."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from api_gateway.app import make_api
from api_gateway.documentation.openapi import make_document
from fixtures.stack import Stack
from ovms.admin.demo import OWNER, OWNER_PASSWORD

DOCUMENT: Final[dict[str, Any]] = make_document(make_api())
# In backticks, also over several lines, or in a block of code.
LINE: Final = re.compile(r"`(curl [^`]+)`|^ {4}(curl .+)$", re.MULTILINE)
# What one line makes another may remove.
ORDER: Final = {"post": 0, "put": 1, "patch": 2, "get": 3, "delete": 4}
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


# What the documentation makes up, and what it does to the account of somebody else than the demo owner.
OTHERWISE: Final = {
    ("put", "/api/v1/account/password"): 401,
    ("delete", "/api/v1/account"): 401,
    ("delete", "/api/v1/account/tokens/{identifier}"): 404,
    ("put", "/api/v1/vehicles/{vehicle_id}/shares/{owner}"): 404,
    ("delete", "/api/v1/vehicles/{vehicle_id}/shares/{owner}"): 404,
    ("delete", "/api/v1/vehicles/{vehicle_id}/links/{identifier}"): 404,
    ("post", "/api/v1/accounts"): 403,
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


@pytest.mark.parametrize(("method", "path", "line"), LINES, ids=[f"{method} {path}" for method, path, _ in LINES])
def test_a_line_does_what_it_says(demo_stack: Stack, method: str, path: str, line: str) -> None:
    made = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    assert re.search(rf"127\.0\.0\.1:6868{re.sub('{.*?}', '[^/?]+', made)}(?=[?' ]|$)", line), "it is of another call"
    if "$COMMAND" in line:
        line = line.replace("/DEMO/", f"/{AWAY}/").replace("$COMMAND", queued(demo_stack))
    status = run(line, demo_stack)
    wanted = OTHERWISE.get((method, path))
    assert status == wanted if wanted else 200 <= status < 300


@functools.cache
def queued(stack: Stack) -> str:
    """The id of a command that stays queued, since its vehicle is away."""
    assert stack.ovms("vehicle", "add", AWAY, "--owner", OWNER, typed="none\n").returncode == 0
    answer = httpx.post(
        f"{stack.http_url}/api/v1/vehicles/{AWAY}/commands", auth=(OWNER, OWNER_PASSWORD), json={"kind": "lock", "queue": True}
    )
    return str(answer.json()["id"])


def run(line: str, stack: Stack) -> int:
    """The status that a line is answered with; a stream is left after a while."""
    options = "--silent --output /dev/null --write-out '%{http_code}'" + (" --max-time 1" if " -N " in line else "")
    command = line.replace(":6868/", f":{stack.http_port}/").replace("curl ", f"curl {options} ", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or (" -N " in line and done.returncode == TIMED_OUT), done.stderr
    return int(done.stdout)
