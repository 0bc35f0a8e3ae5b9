"""Where commands are tried: a stack with a car, files of a certificate, a log with every line that a service may write."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from documented.pages import ROOT
from fixtures.certificates import Pair
from fixtures.servers import libpq_environment
from fixtures.stack import Stack
from ovms.auth.published import OWNER, OWNER_PASSWORD, VEHICLE_ID
from ovms.local.programs import postgresql_programs
from ovms.logs import make_log
from ovms.outages import POSTGRESQL, report_outage
from ovms.redaction import Redactor

WITHIN: Final = 60
HOST: Final = "ovms.example.org"
_SOURCES: Final = {"car-protocol": ("services/car-protocol", "shared"), "api-gateway": ("services/api-gateway", "shared")}
_LEVELS: Final = frozenset({"debug", "info", "warning", "error"})
_ENDS: Final = frozenset({"_log", "_throw_out", "close"})
"""What says in its arguments why a connection ends."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands for the deployment that a page is about."""

    stack: Stack
    database_url: str
    pair: Pair
    directory: Path

    def here(self, text: str) -> str:
        """A command with the addresses of this place instead of those of its page."""
        at = {
            f"https://{HOST}:6869": self.stack.http_url,
            f"https://{HOST}": self.stack.http_url,
            f"{HOST}:6870": f"127.0.0.1:{self.stack.v2_tls_port}",
            f"{HOST} 6867": f"127.0.0.1 {self.stack.v2_port}",
            "http://127.0.0.1:6868": self.stack.http_url,
            "http://127.0.0.1:6880": self.stack.http_url,
            "alice:PASSWORD": f"{OWNER}:{OWNER_PASSWORD}",
            "/MYCAR/": f"/{VEHICLE_ID}/",
            "--cert=…": f"--cert={self.pair.certificate}",
            "--key=…": f"--key={self.pair.key}",
        }
        for there, ours in at.items():
            text = text.replace(there, ours)
        return text

    def shell(self, text: str, given: str = "", **environment: str) -> str:
        """What a command prints; it must end well."""
        path = f"{Path(sys.executable).parent}:{postgresql_programs()}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", text],
            cwd=ROOT,
            env={"PATH": path, "HOME": str(self.directory), **libpq_environment(self.database_url)} | environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def through(self, pipeline: str, given: str) -> None:
        """Give a pipeline's rest what its first program prints: it must let something of that through."""
        if pipeline:
            assert self.shell(pipeline, given).strip() not in ("", "0"), f"nothing comes through: {pipeline}"


@cache
def log_of(service: str) -> str:
    """A line for all that a service says in its log, as `kubectl logs --prefix` prints them."""
    written = io.BytesIO()
    log = make_log(service, "debug", Redactor(None), written)
    more = {"vehicle": "DEMO", "app": "phone", "session": "s", "route": "/api/v1/events", "status": 503}
    for said in _said(service):
        log.error(said, reason="ConnectionRefusedError", **more)
        log.info("closed", reason=said, **more)
    for effect in _effects(service):
        report_outage(log, POSTGRESQL, effect, ConnectionRefusedError())
    return "".join(f"[pod/{service}-0/{service}] {line}\n" for line in written.getvalue().decode().splitlines())


def _said(service: str) -> Iterator[str]:
    for call in _calls(service):
        if isinstance(call.func, ast.Attribute) and call.func.attr in _LEVELS | _ENDS:
            yield from _texts(call)


def _effects(service: str) -> Iterator[str]:
    """Yield the effects of outages that a service logs."""
    for call in _calls(service):
        if isinstance(call.func, ast.Name) and call.func.id == report_outage.__name__:
            yield from _texts(call)


def _calls(service: str) -> Iterator[ast.Call]:
    for folder in _SOURCES[service]:
        for file in sorted((ROOT / folder / "src").rglob("*.py")):
            yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def _texts(call: ast.Call) -> Iterator[str]:
    values = [each.value for each in call.args if isinstance(each, ast.Constant)]
    yield from (value for value in values if isinstance(value, str))
