"""HEAD: what GET does, without the body (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Answered(Exception):
    """The head of an answer has been sent, and nothing of the body is asked for: it may be long, or have no end."""


class HeadRequests:
    """Middleware directly around the routes, which serve a HEAD as a GET and are stopped at its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            scope["method"] = "HEAD"
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            raise _Answered

        # The same scope, since those around the routes read what these find out.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_head)
        except _Answered:
            pass
        finally:
            scope["method"] = "HEAD"
