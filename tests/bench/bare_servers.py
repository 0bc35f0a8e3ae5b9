"""Servers that do nothing but what any would, each in a process of its own, to compare with.

`python -m bench.bare_servers http PORT`: FastAPI with one route that returns a `Response` as long as a status.
`python -m bench.bare_servers cars PORT`: connections that hold the two ciphers of a session.
"""

import asyncio
import sys
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import Response

from bench.stack import HOST
from ovms.protocol.cipher import Rc4Lines

LENGTH: Final = 835
"""Bytes, those of a status."""


def serve_http(port: int) -> None:
    """Run with the settings that the gateway gives to uvicorn."""
    app, body = FastAPI(openapi_url=None), b"x" * LENGTH

    @app.get("/bare")
    async def bare() -> Response:
        return Response(body, media_type="application/json")

    uvicorn.run(
        app, host=HOST, port=port, loop="uvloop", http="httptools", access_log=False, log_config=None, server_header=False
    )


class BareCar(asyncio.Protocol):
    """Answers the first line, and holds what a session cannot do without."""

    __slots__ = ("_cipher", "_transport")

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._cipher = Rc4Lines(data[:16])
        self._transport.write(b"MP-S\r\n")


async def serve_cars(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(BareCar, HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve_http(int(sys.argv[2]))
    else:
        uvloop.run(serve_cars(int(sys.argv[2])))
