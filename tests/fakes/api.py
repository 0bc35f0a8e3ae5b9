"""A server of the typed API that answers what it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeApi:
    """Answers the requests in their order; the last answer serves all that follow."""

    answers: list[tuple[int, str, str]] = field(default_factory=list)
    """Status, content type and body."""
    asked: list[Asked] = field(default_factory=list)
    breaks: bool = False
    """It closes the connection in place of an answer."""
    url: str = ""

    def next_answer(self) -> tuple[int, str, str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    """One that listens while the block runs."""
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            given = self.rfile.read(int(self.headers.get("content-length") or 0))
            fake.asked.append(Asked(self.command, self.path, dict(self.headers), json.loads(given) if given else None))
            if fake.breaks:
                self.close_connection = True
                return
            status, kind, body = fake.next_answer()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815  (the names of the base class)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing is to be said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
