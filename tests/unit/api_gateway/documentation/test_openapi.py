"""The OpenAPI document: everything that a reader needs stands on every operation."""

import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api_gateway.app import create_app
from api_gateway.documentation.openapi import SCHEMES, TAGS
from api_gateway.settings import Settings
from ovms.db.sealing import Sealer
from ovms.logs import make_log
from ovms.records.views import CHARGE, LOCATION, STATUS, TPMS
from ovms.redaction import Redactor

METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture
async def document(secret_keys: str) -> dict[str, Any]:
    """The document as it is served; it needs neither PostgreSQL nor Redis."""
    log = make_log("api-gateway", "error", Redactor(None), io.BytesIO())
    settings = Settings(database_url="postgresql://", redis_url="redis://", secret_keys=secret_keys)
    app = create_app(settings, Sealer.from_setting(secret_keys), log)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield method, path, operation


async def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]
    assert document["info"]["description"]


async def test_every_documented_call_is_there(document: dict[str, Any]) -> None:
    calls = {(method, path) for method, path, _ in operations(document)}
    vehicle = "/{vehicle_id}"
    assert calls >= {
        ("get", "/api/cookie"),
        ("delete", "/api/cookie"),
        ("get", "/api/token"),
        ("post", "/api/token"),
        ("delete", "/api/token/{token}"),
        ("get", "/api/vehicles"),
        ("get", "/api/vehicle" + vehicle),
        ("delete", "/api/vehicle" + vehicle),
        *(
            ("get", f"/api/{call}{vehicle}")
            for call in ("protocol", "status", "tpms", "location", "charge", "historical", "lock")
        ),
        ("get", "/api/historical/{vehicle_id}/{record_type}"),
        *(("post", f"/mqapi/{call}") for call in ("auth", "superuser", "acl")),
        *(
            ("put", f"/api/{call}{vehicle}")
            for call in ("charge", "lock", "valet", "feature", "parameter", "reset", "homelink")
        ),
    }


async def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert len(operation["tags"]) == 1, where
        assert operation["tags"][0] in {tag["name"] for tag in TAGS}, where
        for parameter in operation.get("parameters", []):
            assert parameter["description"], where


async def test_every_answer_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            where = f"{method} {path} {status}"
            assert answer["description"], where
            if status in ("204", "304"):
                assert "content" not in answer, where
                continue
            assert answer["content"], where
            for content in answer["content"].values():
                assert "example" in content or content["examples"], where


async def test_every_operation_declares_its_errors(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        statuses = set(operation["responses"])
        if path in ("/livez", "/readyz", "/api/v1/accounts"):
            continue
        where = f"{method} {path}"
        assert {"403" if path.startswith("/mqapi/") else "401", "503"} <= statuses, where
        if path.startswith("/api/v1/"):
            assert "422" in statuses or "requestBody" not in operation, where
        else:
            assert ("422" in statuses) == ("control" in operation["tags"] and "requestBody" in operation), where
        if "{vehicle_id}" in path:
            assert ("404" if path.startswith("/api/v1/") else "403") in statuses, where


async def test_ways_to_sign_in_are_declared_and_attached(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"] == SCHEMES
    for method, path, operation in operations(document):
        if path in ("/livez", "/readyz", "/api/v1/accounts") or path.startswith("/mqapi/"):
            assert "security" not in operation
        else:
            used = {name for way in operation["security"] for name in way}
            assert used == set(SCHEMES), f"{method} {path}"


async def test_what_a_broker_posts_is_declared(document: dict[str, Any]) -> None:
    for call, required in (("auth", {"username", "password"}), ("superuser", {"username"}), ("acl", {"username", "topic"})):
        operation = document["paths"][f"/mqapi/{call}"]["post"]
        (form,) = operation["requestBody"]["content"].values()
        assert set(form["schema"]["required"]) == set(form["example"]) == required
        assert all(field["description"] for field in form["schema"]["properties"].values())
        assert set(operation["responses"]) == {"200", "403", "503"} - ({"200"} if call == "superuser" else set())


async def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("call", "view"), [("status", STATUS), ("charge", CHARGE), ("location", LOCATION), ("tpms", TPMS)])
async def test_titles_and_units_come_from_the_records(document: dict[str, Any], call: str, view: Any) -> None:
    schema = _answer(document, call)["schema"]
    first = {field.name: field for field in reversed(view.fields)}
    for field in first.values():
        assert schema["properties"][field.name]["title"] == field.title
        assert schema["properties"][field.name].get("x-unit") == field.unit
    for field in view.wheel_fields:
        assert schema["patternProperties"][f"^.+_{field.name}$"]["title"] == field.title


TYPES = {str: "string", int: "integer", float: "number", type(None): "null"}


@pytest.mark.parametrize("call", ["status", "charge", "location", "tpms"])
async def test_examples_are_what_the_schemas_allow(document: dict[str, Any], call: str) -> None:
    answer = _answer(document, call)
    schema = answer["schema"]
    for name, value in answer["example"].items():
        held_to = [schema["properties"][name]] if name in schema["properties"] else []
        held_to += [inner for pattern, inner in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        assert held_to, name
        for inner in held_to:
            assert TYPES[type(value)] in inner["type"], name


def _answer(document: dict[str, Any], call: str) -> dict[str, Any]:
    operation = document["paths"][f"/api/{call}/{{vehicle_id}}"]["get"]
    found: dict[str, Any] = operation["responses"]["200"]["content"]["application/json"]
    return found
