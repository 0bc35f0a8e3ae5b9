"""What the API answers when it does not do what was asked.

    ApiError
    ├── BadRequest              400
    ├── AuthenticationFailed    401
    ├── Forbidden               403   not the caller's vehicle, or none at all
    ├── InsufficientRights      403   an API token without the right to this call
    ├── CrossSite               403   a page of another site sends the session cookie
    ├── UnknownCall             404   under /api and /mqapi
    ├── TokenMissing            404
    ├── NotFound                404   outside them
    ├── MethodNotAllowed        405   outside /api and /mqapi, and under /api/v1
    ├── TooMany                 409   of what an account may have so many of
    ├── InvalidArgument         422   of a command; says which, and what it may be
    ├── TooManyRequests         429   of one credential
    │   └── TooManyAttempts     429   wrong passwords for one name from one network
    ├── TooManyDownloads        429   long answers at the same time
    ├── InternalError           500   our bug; logged
    ├── ParanoidVehicle         502   the car sends its state encrypted; the server cannot read it
    ├── ServiceUnavailable      503   PostgreSQL or Redis is away, or too much is asked: try again
    ├── VehicleNotConnected     503   a command for a car that is not connected; 409 under /api/v1
    └── VehicleSilent           504   the car did not answer a command

Bodies are the reference's where it has the error. They carry no secret and nothing of the request.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, ClassVar


class ApiError(Exception):
    """A refusal with its status and body; raised anywhere below a route."""

    status: ClassVar[int]
    detail: ClassVar[str]
    meaning: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}
    typed_status: ClassVar[int | None] = None
    """The status under `/api/v1`; None: the same as in the legacy API."""
    members: ClassVar[Mapping[str, Any]] = {}
    """What a problem says beside that (RFC 9457, 3.2)."""


class BadRequest(ApiError):
    """A value that cannot be stored: too long, or with a NUL."""

    status = 400
    detail = "Bad request"
    meaning = "A value is too long or holds a NUL character."


class AuthenticationFailed(ApiError):
    """No credential, a wrong one, or a session that has ended."""

    status = 401
    detail = "Authentication failed"
    meaning = "No credentials, wrong ones, or the session has ended."


class Forbidden(ApiError):
    """The vehicle is not the caller's; whether it exists is not told."""

    status = 403
    detail = "Forbidden"
    meaning = "The caller has no such vehicle."


class InsufficientRights(ApiError):
    """The API token does not permit this call."""

    status = 403
    detail = "Insufficient rights"
    meaning = "The API token does not permit this call."


class CrossSite(ApiError):
    """A page of another site makes the browser send the session cookie with a call that changes something."""

    status = 403
    detail = "Cross-site request"
    meaning = "The session cookie does not count for calls that change something when a page of another site makes them."


class UnknownCall(ApiError):
    """No such call under /api or /mqapi, or not with this method."""

    status = 404
    detail = "Unrecognised API call"
    meaning = "There is no such call."


class TokenMissing(ApiError):
    """DELETE /api/token without a token."""

    status = 404
    detail = "Token not specified"
    meaning = "The path names no token."


class NotFound(ApiError):
    """Nothing is there, and it is under neither /api nor /mqapi."""

    status = 404
    detail = "not found"
    meaning = "There is nothing at this path."


class MethodNotAllowed(ApiError):
    """There is something at the path, but not with this method (RFC 9110, 15.5.6)."""

    status = 405
    detail = "Method not allowed"
    meaning = "The call has other methods, which Allow lists."

    def __init__(self, methods: Iterable[str]) -> None:
        super().__init__()
        self.headers = {"Allow": ", ".join(sorted(methods))}  # type: ignore[misc]


class TooMany(ApiError):
    """There are as many of a kind as there may be."""

    status = 409
    detail = "Too many"
    meaning = "There are as many of this kind as there may be; remove one first."


class InvalidArgument(ApiError):
    """An argument of a command is missing or impossible; its value is never repeated, since it may be a PIN."""

    status = 422
    detail = "Invalid argument"
    meaning = "An argument is missing, or is not what it may be; the answer says which."

    def __init__(self, name: str, wanted: str, choices: Iterable[str] = ()) -> None:
        super().__init__(name)
        self.detail = f"Invalid argument {name}: {wanted}"  # type: ignore[misc]
        self.name, self.wanted, self.choices = name, wanted, list(choices)


class TooManyRequests(ApiError):
    """This credential made too many calls."""

    status = 429
    detail = "Too many requests"
    meaning = "Too many calls came with this credential; try again after Retry-After seconds."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "30"}

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(max(1, ceil(seconds)))}  # type: ignore[misc]


class TooManyAttempts(TooManyRequests):
    """Too many wrong passwords for this name came from this network."""

    detail = "Too many attempts"
    meaning = "Too many wrong passwords came from this network; try again after Retry-After seconds."


class TooManyDownloads(ApiError):
    """This credential receives as many long answers as it may at a time."""

    status = 429
    detail = "Too many downloads"
    meaning = "Two long answers are being sent with this credential; try again when one has ended."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class InternalError(ApiError):
    """A bug of ours."""

    status = 500
    detail = "Internal server error"
    meaning = "A fault of the server; it is logged."


class ParanoidVehicle(ApiError):
    """The message is encrypted under a key that the server does not have."""

    status = 502
    detail = "Paranoid vehicles not supported by api"
    meaning = "The vehicle encrypts its messages; the server cannot read them."


class ServiceUnavailable(ApiError):
    """PostgreSQL or Redis does not answer, or too many passwords wait to be checked."""

    status = 503
    detail = "Service unavailable"
    meaning = "The server cannot answer now; try again after Retry-After seconds."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class VehicleNotConnected(ApiError):
    """The car is not connected to any replica."""

    status = 503
    # 503 is a fault of the server, which clients repeat by themselves and which alerts count.
    typed_status = 409
    detail = "Vehicle is not connected"
    meaning = "The vehicle is not connected; nothing was sent to it."


class VehicleSilent(ApiError):
    """The car did not answer in time; whether it did what it was told is not known."""

    status = 504
    detail = "Vehicle did not answer"
    meaning = "The vehicle did not answer in time; whether it did what it was told is not known."


def answers(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """The errors of a route as its `responses=`: every status with what it means and its exact body."""
    declared: dict[int | str, dict[str, Any]] = {}
    # Whoever signs in can do so too often.
    signs_in = AuthenticationFailed in errors
    for error in (*errors, *((TooManyAttempts, TooManyRequests) if signs_in else ())):
        if (entry := declared.get(error.status)) is None:
            content = {"schema": {"type": "string"}, "examples": {}}
            entry = declared[error.status] = {"description": error.meaning, "content": {"text/plain": content}}
        else:
            entry["description"] += " " + error.meaning
        example = {"summary": error.meaning, "value": error.detail + "\n"}
        entry["content"]["text/plain"]["examples"][error.__name__] = example
        if error.headers:
            entry["headers"] = {name: {"schema": {"type": "string"}} for name in error.headers}
    return declared
