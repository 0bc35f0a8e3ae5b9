"""Which call a path means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.edge.paths import canonical


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/cookie", "/api/cookie"),
        ("/api/cookie/", "/api/cookie"),
        ("/api/cookie/x", "/api/cookie"),
        ("/api/vehicles/", "/api/vehicles"),
        ("/api/status/DEMO", "/api/status/DEMO"),
        ("/api/status/DEMO/", "/api/status/DEMO"),
        ("/api/status/DEMO/more/and/more", "/api/status/DEMO"),
        ("/api/status/", "/api/status/"),
        ("/api/status", "/api/status/"),
        ("/api/token", "/api/token"),
        ("/api/historical", "/api/historical/"),
        ("/api/token//", "/api/token/"),
        ("/api/token/abc/x", "/api/token/abc"),
        ("/api/historical/V", "/api/historical/V"),
        ("/api/historical/V/", "/api/historical/V/"),
        ("/api/historical/V/*-LOG-Trip/x", "/api/historical/V/*-LOG-Trip"),
        ("/api/historical/V/%2A-LOG%2FTrip", "/api/historical/V/*-LOG/Trip"),
        ("/api/status/a%20b", "/api/status/a b"),
        ("/api/status/a%0Ab", "/api/status/a%0Ab"),
    ],
)
def test_legacy_calls(path: str, expected: str) -> None:
    assert canonical(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/api",
        "/api/",
        "//api/vehicles",
        "/api//vehicles",
        "/api/nonsense",
        "/API/cookie",
        "/docs",
        "/api/v1/x",
        "api/x/y",
    ],
)
def test_other_paths_stay_as_they_are(path: str) -> None:
    assert canonical(path) is None


@given(st.text(alphabet="/apicokethsur%2F", max_size=40))
def test_any_path_is_taken(path: str) -> None:
    found = canonical(path)
    assert found is None or found.startswith("/api/")
