"""Routes name the parts that they need: none gets all parts of the service, and none needs many."""

from fastapi.dependencies.models import Dependant

from api_gateway.app import make_api
from api_gateway.dependencies import parts_of
from fixtures.gateway import routes_of

MOST = 5
PART = "_part.<locals>.part"


def parts(dependant: Dependant) -> int:
    return sum(getattr(one.call, "__qualname__", "") == PART for one in dependant.dependencies)


def test_no_route_asks_for_more_than_a_few_parts_and_none_for_all() -> None:
    routes = list(routes_of(make_api().routes))
    counts = {f"{route.methods} {route.path}": parts(route.dependant) for route in routes}
    assert max(counts.values()) > 1, "none was found"
    assert {name for name, count in counts.items() if count > MOST} == set()
    assert not [route for route in routes if parts_of in [one.call for one in route.dependant.dependencies]]
