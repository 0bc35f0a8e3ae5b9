"""What the typed API refuses, beside what all of the API does."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from api_gateway.errors import ApiError


class VehicleUnknown(ApiError):
    """The vehicle is not the caller's; whether it exists is not told."""

    status = 404
    detail = "Vehicle unknown"
    meaning = "The caller has no such vehicle."


class VehicleIdTaken(ApiError):
    """A vehicle has this id already, or had it lately; whose it is or was is not part of the answer."""

    status = 409
    detail = "Vehicle id taken"
    meaning = "A vehicle has this id already, or was removed less than a day ago by another owner."


class PasswordWrong(ApiError):
    """The password in the body is not the caller's."""

    status = 403
    detail = "Password wrong"
    meaning = "The password in the body is not the caller's."


class SignUpClosed(ApiError):
    """Nobody makes an account himself at this server."""

    status = 403
    detail = "Sign-up closed"
    meaning = "The operator of this server makes the accounts."


class NameTaken(ApiError):
    """Somebody has this name already."""

    status = 409
    detail = "Name taken"
    meaning = "Somebody has this name already."


class TokenUnknown(ApiError):
    """No token of the caller's has this identifier."""

    status = 404
    detail = "Token unknown"
    meaning = "The caller has no such token."


class SubscriptionUnknown(ApiError):
    """Nothing of this vehicle is pushed to this app."""

    status = 404
    detail = "Subscription unknown"
    meaning = "The vehicle has no such subscription."


class LinkUnknown(ApiError):
    """No link to this vehicle has this identifier."""

    status = 404
    detail = "Link unknown"
    meaning = "The vehicle has no such link."


class ShareUnknown(ApiError):
    """There is no such share, and no such offer."""

    status = 404
    detail = "Share unknown"
    meaning = "There is no such share, and no such offer."


class TooManyStreams(ApiError):
    """The caller has as many streams open as one credential may."""

    status = 429
    detail = "Too many streams"
    meaning = "The caller has too many streams open; try again after Retry-After seconds, or when one has ended."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "60"}


class InvalidRequest(ApiError):
    """The body or a parameter is not what it may be. No value is repeated: it may be a secret."""

    status = 422
    detail = "Invalid request"
    meaning = "The body or a parameter is not what it may be; `errors` says which, and why."
    members: ClassVar[Mapping[str, Any]] = {"errors": [{"pointer": "#/lifetime", "detail": "Input should be greater than 0"}]}

    def __init__(self, *errors: Mapping[str, Any]) -> None:
        super().__init__()
        self.members = {"errors": list(errors)}  # type: ignore[misc]

    @classmethod
    def of(cls, name: str, detail: str) -> "InvalidRequest":
        """What is wrong with one field of the body."""
        return cls({"pointer": f"#/{name}", "detail": detail})

    @classmethod
    def of_query(cls, name: str, detail: str) -> "InvalidRequest":
        """What is wrong with one parameter of the query."""
        return cls({"pointer": f"#/query/{name}", "detail": detail})

    @classmethod
    def from_faults(cls, faults: Sequence[Mapping[str, Any]]) -> "InvalidRequest":
        """What pydantic found."""
        return cls(*({"pointer": _pointer(fault["loc"]), "detail": fault["msg"]} for fault in faults))


def _pointer(place: Sequence[str | int]) -> str:
    """Where in the body or, with its kind before it, which parameter: a JSON pointer (RFC 6901) as a fragment."""
    _, *steps = place if place and place[0] == "body" else ("", *place)
    return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


class NothingReceived(ApiError):
    """The vehicle never sent what is asked for."""

    status = 404
    detail = "Nothing received"
    meaning = "The vehicle has not sent this yet."


class NotAcceptable(ApiError):
    """The caller takes none of the forms that the answer can have."""

    status = 406
    detail = "Not acceptable"
    meaning = "The answer has none of the forms that Accept names."
