"""What Schemathesis must not do to the stack that it tests: its work would be over, and nothing found any more."""

import itertools
import os
from typing import Any, Final

import schemathesis

TOKENS: Final = "CONTRACT_TOKENS"
"""The variable with the identifiers of the tokens that it signs in with, with commas between."""

_numbers = itertools.count(1)

SPARE: Final = "SPARE"
NO_TOKEN: Final = "0000000000000000"

# Calls after which the demo car is gone or cannot come back: they get the spare vehicle in its place.
OF_THE_SPARE: Final = {
    "DELETE /api/v1/vehicles/{vehicle_id}",
    "PUT /api/v1/vehicles/{vehicle_id}/password",
}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Turn a call that would end the demo car to the spare vehicle, and one that would end its token to none."""
    # Every call comes from a network of its own: it tries more wrong passwords than one may.
    number = next(_numbers)
    case.headers["X-Forwarded-For"] = f"10.{number >> 8 & 255}.{number & 255}.1"
    parameters = case.path_parameters or {}
    if case.operation.label in OF_THE_SPARE and str(parameters.get("vehicle_id")).upper() == "DEMO":
        parameters["vehicle_id"] = SPARE
    tokens = os.environ[TOKENS].split(",")
    for name in ("token", "identifier"):
        if parameters.get(name) in tokens:
            parameters[name] = NO_TOKEN
