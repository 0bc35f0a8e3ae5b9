"""What the typed API refuses, beside what all of the API does."""

from api_gateway.errors import ApiError


class VehicleUnknown(ApiError):
    """The vehicle is not the caller's; whether it exists is not told."""

    status = 404
    detail = "Vehicle unknown"
    meaning = "The caller has no such vehicle."
