"""`ovms status`, `ovms watch` and `ovms command` on the stack that `make run` starts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from fixtures.stack import OVMS, Stack
from ovms.local.ports import free_port

Done = subprocess.CompletedProcess[str]

DOCUMENT: Final = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
needs_events = pytest.mark.skipif(
    "/api/v1/vehicles/{vehicle_id}/events" not in DOCUMENT["paths"], reason="the server has no events yet"
)

CTRL_C: Final = b"\x03"
SHOW_CURSOR: Final = b"\x1b[?25h"


@pytest.fixture(scope="module")
def token(demo_stack: Stack) -> str:
    return _token(demo_stack, "read,location,control")


@pytest.fixture
def ovms(demo_stack: Stack, token: str) -> Callable[..., Done]:
    """Run the command with a token that reads and controls."""

    def run(*arguments: str, typed: str = "", **changes: str) -> Done:
        return subprocess.run(
            [OVMS, *arguments],
            env=_environment(demo_stack, token) | changes,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def _token(stack: Stack, permit: str) -> str:
    return stack.ovms("token", "add", "demo", "--permit", permit).stdout.strip()


def _environment(stack: Stack, token: str) -> dict[str, str]:
    # None of what tells where the databases are: these commands have no need of them.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OVMS_")}
    return ours | {"OVMS_API_URL": stack.http_url, "OVMS_API_TOKEN": token, "TERM": "xterm", "COLUMNS": "100", "LINES": "50"}


def test_status_shows_the_vehicles_and_one_of_them(ovms: Callable[..., Done]) -> None:
    everything = ovms("status")
    assert (everything.returncode, everything.stderr) == (0, "")
    # Other tests of this stack may have added vehicles.
    assert ["DEMO", "demo", "connected"] in [line.split()[:3] for line in everything.stdout.splitlines()]
    one = ovms("status", "demo")
    assert "DEMO: car connected" in one.stdout
    assert "State of charge" in one.stdout
    told: dict[str, Any] = json.loads(ovms("status", "DEMO", "--json").stdout)
    assert told["records"]["location"]["values"]["latitude"] is not None


def test_what_is_wrong_is_one_line(ovms: Callable[..., Done], demo_stack: Stack) -> None:
    wrong = {
        "Authentication failed (401)": ovms("status", OVMS_API_TOKEN="0" * 64),
        "Vehicle unknown (404)": ovms("status", "nobody"),
        "Insufficient rights (403)": ovms("status", OVMS_API_TOKEN=_token(demo_stack, "control")),
        "does not answer": ovms("status", OVMS_API_URL=f"http://127.0.0.1:{free_port()}"),
    }
    for words, done in wrong.items():
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert words in done.stderr
    without = ovms("status", OVMS_API_TOKEN="", OVMS_API_TOKEN_FILE="/nonexistent")
    assert (without.returncode, "no token" in without.stderr) == (2, True)


def test_a_command_is_answered_by_the_car(ovms: Callable[..., Done]) -> None:
    done = ovms("command", "DEMO", "lock", "--pin", typed="1234\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "lock succeeded: Car locked\n", "")
    done = ovms("command", "DEMO", "set_charge_mode", "mode=range")
    assert (done.returncode, done.stdout) == (0, "set_charge_mode succeeded: Charge mode set\n")


def test_an_invalid_command_is_explained(ovms: Callable[..., Done]) -> None:
    for arguments, status, words in (
        (("lock", "pin=918273"), 2, "--pin"),
        (("lock", "918273"), 2, "NAME=VALUE"),
        (("lokc",), 1, "did you mean lock?"),
        (("set_charge_mode", "mode=warp"), 1, "mode: It must be one of"),
        (("set_charge_mode",), 1, "mode: It must be one of"),
        (("text", "command=x"), 1, "Insufficient rights (403)"),
    ):
        done = ovms("command", "DEMO", *arguments)
        assert (done.returncode, done.stdout) == (status, "")
        assert words in done.stderr
    assert "918273" not in ovms("command", "DEMO", "lock", "pin=918273").stderr


@needs_events
def test_watch_shows_the_car_in_a_terminal_until_ctrl_c(demo_stack: Stack, token: str) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execve(OVMS, ["ovms", "watch", "DEMO"], _environment(demo_stack, token))
    try:
        seen = _read_until(terminal, b"State of charge")
        assert b"DEMO" in seen
        os.write(terminal, CTRL_C)
        assert SHOW_CURSOR in _read_until(terminal, SHOW_CURSOR)
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 30
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 65536)
    return seen


@needs_events
def test_watch_tells_programs_events_in_lines(demo_stack: Stack, token: str) -> None:
    watching = subprocess.Popen([OVMS, "watch", "DEMO"], env=_environment(demo_stack, token), stdout=subprocess.PIPE, text=True)
    try:
        assert watching.stdout is not None
        events = (json.loads(line) for line in watching.stdout)
        assert any(event["event"] == "state" and event["data"]["code"] == "S" for event in events)
    finally:
        watching.kill()
        watching.communicate()
