"""The vehicle id of a call."""

from typing import Annotated, Final

from fastapi import Path

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import Forbidden
from ovms.identity import VEHICLE_ID

VehicleId = Annotated[str, Path(description="The vehicle's id; case does not matter", examples=["DEMO"])]

# Behind which part of a path everything up to its end is the id, and nothing at all too: `/api/status/` is a call about the
# vehicle with the empty id, which nobody has.
TO_THE_END: Final = "{vehicle_id:path}"


def check_possible(caller: Caller, vehicle_id: str) -> None:
    """Raise `Forbidden` for an id that no vehicle can have or that the caller's token is not for, as for another owner's."""
    if not VEHICLE_ID.match(vehicle_id) or not caller.login.reaches(vehicle_id):
        raise Forbidden
