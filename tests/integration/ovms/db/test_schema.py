"""A service does not start on a database that lacks migrations."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import structlog
from alembic.script import ScriptDirectory

import api_gateway.__main__
import car_protocol.__main__
from fixtures.servers import fetch
from ovms.db.migrate import _config
from ovms.db.schema import SchemaBehind, check_schema, revisions

SERVICES = {"car-protocol cannot start": car_protocol.__main__.main, "api-gateway": api_gateway.__main__.main}


@pytest.fixture(autouse=True)
def _log_of_this_test() -> Iterator[None]:
    """Reset the log: `main` sends it to the output of this test, which is closed afterwards."""
    yield
    structlog.reset_defaults()


def test_the_files_are_the_revisions_in_order() -> None:
    script = ScriptDirectory.from_config(_config())
    assert revisions() == [revision.revision for revision in reversed(list(script.walk_revisions()))]


@pytest.mark.parametrize(("name", "main"), SERVICES.items(), ids=list(SERVICES))
def test_a_service_says_what_to_do_and_ends(
    name: str,
    main: Callable[[], int],
    empty_database_url: str,
    redis_url: str,
    secret_keys: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OVMS_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("OVMS_REDIS_URL", redis_url)
    monkeypatch.setenv("OVMS_SECRET_KEYS", secret_keys)
    assert main() == 1
    assert capsys.readouterr().err == f"{name}: {SchemaBehind()}\n"


@pytest.mark.parametrize(("revision", "is_accepted"), [(revisions()[-1], True), ("9999", True), (revisions()[-2], False)])
def test_a_database_of_an_older_version_is_rejected(database_url: str, revision: str, is_accepted: bool) -> None:
    fetch(database_url, f"UPDATE alembic_version SET version_num = '{revision}'")
    with nullcontext() if is_accepted else pytest.raises(SchemaBehind):
        asyncio.run(check_schema(database_url))


def test_a_service_starts_without_postgresql() -> None:
    asyncio.run(check_schema("postgresql://a:b@127.0.0.1:1/c"))
