"""Refusals: problems under `/api/v1`, the reference's words elsewhere."""

import json
from typing import Any

import pytest

from api_gateway import errors
from api_gateway.errors import ApiError
from api_gateway.refusals import refusal
from api_gateway.v1.errors import VehicleUnknown

# Clients compare these: one may be added, none may change.
TYPES = {
    errors.AuthenticationFailed: "authentication-failed",
    errors.InternalError: "internal-error",
    errors.MethodNotAllowed: "method-not-allowed",
    errors.ServiceUnavailable: "service-unavailable",
    errors.UnknownCall: "unknown-call",
    VehicleUnknown: "vehicle-unknown",
}


def scope(path: str) -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": []}


@pytest.mark.parametrize("error", TYPES)
def test_a_problem_has_its_type_title_status_and_detail(error: type[ApiError]) -> None:
    answer = refusal(scope("/api/v1/vehicles"), error)
    assert answer.status_code == error.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": f"/api/v1/problems/{TYPES[error]}",
        "title": error.detail,
        "status": error.status,
        "detail": error.meaning,
    }


def test_a_problem_says_when_to_come_again_and_how_to_sign_in() -> None:
    assert refusal(scope("/api/v1"), errors.ServiceUnavailable).headers["retry-after"] == "5"
    assert refusal(scope("/api/v1"), errors.AuthenticationFailed).headers["www-authenticate"] == 'Bearer realm="ovms"'


@pytest.mark.parametrize("path", ["/api/vehicles", "/api/v12", "/api/v1x/vehicles", "/mqapi/auth", "/"])
def test_elsewhere_it_is_a_line_of_text(path: str) -> None:
    answer = refusal(scope(path), errors.ServiceUnavailable)
    assert (answer.headers["content-type"], bytes(answer.body)) == ("text/plain", b"Service unavailable\n")


def test_a_vehicle_that_is_not_connected_is_a_fault_of_the_server_in_the_legacy_api_alone() -> None:
    typed = refusal(scope("/api/v1/vehicles/CAR/commands"), errors.VehicleNotConnected)
    assert (typed.status_code, json.loads(bytes(typed.body))["status"]) == (409, 409)
    assert refusal(scope("/api/lock/CAR"), errors.VehicleNotConnected).status_code == 503
