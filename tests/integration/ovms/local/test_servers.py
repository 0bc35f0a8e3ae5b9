"""Real servers in a directory, wherever it is and whoever runs them."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from fixtures.servers import FAST, fetch
from ovms.local.errors import ServerFailed
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey

# Too long for the address of a unix socket, and full of what addresses of databases quote.
STRANGE = f"a b,c%d:é/{'long' * 25}"


@pytest.mark.parametrize("name", ["plain", STRANGE])
def test_postgres_keeps_what_was_written_when_it_is_killed(tmp_path: Path, name: str) -> None:
    server = Postgres(tmp_path / name, settings={"timezone": "UTC"})
    server.start()
    try:
        fetch(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.kill()
        assert not server.is_running
        server.start()
        assert fetch(server.url, "SELECT number FROM kept")[0]["number"] == 7
    finally:
        server.stop()
    assert not server.is_running


def test_postgres_refuses_who_does_not_know_the_password(postgres: Postgres) -> None:
    scheme, _, rest = postgres.url.partition("ovms:")
    url = f"{scheme}ovms:guessed@{rest.partition('@')[2]}"
    with pytest.raises(asyncpg.InvalidPasswordError):
        fetch(url, "SELECT 1")


def test_postgres_listens_on_no_port(postgres: Postgres) -> None:
    assert psutil.Process(postgres.pid).net_connections("inet") == []


def test_a_first_start_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "data/base").mkdir(parents=True)
    (tmp_path / "data/postgresql.conf").write_text("half")
    (tmp_path / "password").write_text("half")
    server = Postgres(tmp_path, settings=FAST)
    server.start()
    try:
        assert len(fetch(server.url, "SELECT 1")) == 1
    finally:
        server.stop()


def test_a_process_id_that_is_now_another_programs_is_no_server(tmp_path: Path) -> None:
    server = Postgres(tmp_path, settings=FAST)
    server.start()
    lock = (tmp_path / "data/postmaster.pid").read_text()
    server.kill()
    (tmp_path / "data/postmaster.pid").write_text(lock.replace(lock.split()[0], str(os.getpid()), 1))
    server.start()
    server.stop()


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"PostgreSQL: it ended at once: .*max_connections"):
        Postgres(tmp_path, settings=FAST | {"max_connections": "many"}).start()


def test_attaching_where_nothing_runs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovms.local.postgres.ATTACH_TIMEOUT", 0.0)
    with pytest.raises(ServerFailed, match="is not running"):
        Postgres(tmp_path).attach()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_as_root_it_runs_from_a_copy_where_another_user_may_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ovms.local.unprivileged.Account.may_execute", lambda *_: False)
    server = Postgres(tmp_path, settings=FAST)
    server.start()
    copy = Path(psutil.Process(server.pid).exe()).parents[3]
    try:
        assert len(fetch(server.url, "SELECT 1")) == 1
        assert psutil.Process(server.pid).username() == "nobody"
        assert copy.name.startswith("ovms-programs-")
        # A program reads standard error here, not a person at a terminal.
        assert capfd.readouterr().err == ""
    finally:
        server.stop()
    assert not copy.exists()


@pytest.mark.parametrize("name", ["plain", STRANGE])
def test_valkey_keeps_what_it_holds_when_it_is_stopped(tmp_path: Path, name: str) -> None:
    for expected in (None, b"1"):
        server = Valkey(tmp_path / name)
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("session") == expected
            client.set("session", "1")
        server.stop()
        assert not server.is_running


def test_servers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey
servers = [Postgres(Path(sys.argv[1], "p")), Valkey(Path(sys.argv[1], "v"))]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter.stdout:
        started = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
    assert len(started) == 2
    starter.kill()
    starter.wait()

    assert psutil.wait_procs(started, timeout=10)[1] == []


def test_what_was_not_started_has_no_address(tmp_path: Path) -> None:
    for server in (Postgres(tmp_path), Valkey(tmp_path)):
        with pytest.raises(ServerFailed, match="has not been started"):
            _ = server.url
        with pytest.raises(ServerFailed, match="has not been started"):
            _ = server.pid
        server.stop()
        server.kill()
