"""What is refused of commands, beside what all of the API refuses."""

from collections.abc import Mapping
from typing import ClassVar

from api_gateway.errors import ApiError


class CommandUnknown(ApiError):
    """The vehicle has no such command, or none that the caller may see."""

    status = 404
    detail = "Command unknown"
    meaning = "The vehicle has no such command that you may see."


class CommandNotQueued(ApiError):
    """It is too late to cancel a command."""

    status = 409
    detail = "Command is not queued"
    meaning = "The command has been sent, or is over: it cannot be cancelled any more."


class NotJson(ApiError):
    """A body of another type."""

    status = 415
    detail = "Unsupported media type"
    meaning = "The body must be `application/json`."


class IdempotencyKeyReused(ApiError):
    """The key stands for another request."""

    status = 409
    detail = "Idempotency key reused"
    meaning = "You have used this Idempotency-Key for another request within a day."


class CommandQueueFull(ApiError):
    """The vehicle has too much to do."""

    status = 429
    detail = "Command queue full"
    meaning = "Too many commands of this vehicle are not finished; try again after Retry-After seconds."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class VehicleBusy(ApiError):
    """The vehicle's turn did not come."""

    status = 503
    detail = "Vehicle is busy"
    meaning = "The vehicle has not answered an earlier command yet; it was not told this one."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}
