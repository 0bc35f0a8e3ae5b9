"""Calls that every app makes every few seconds, without what FastAPI does for those that are made now and then."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class PolledRoute(APIRoute):
    """A route whose endpoint is given the request and what stands in the path, as texts, and returns the answer itself.

    It is described as any other. Finding arguments, dependencies and what has to be closed afterwards, of which such a call has
    none, is most of what FastAPI costs.
    """

    def __init__(self, path: str, endpoint: Callable[..., Coroutine[Any, Any, Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = _answer_of(endpoint)


def _answer_of(endpoint: Callable[..., Coroutine[Any, Any, Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive), **scope["path_params"])
        await response(scope, receive, send)

    return app
