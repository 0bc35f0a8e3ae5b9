"""`ovms run`: databases, both services and a demo car on this machine, until a signal or the end of one of them."""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Final, TypeAlias

from ovms.admin.demo import Demo, close_demo, load_demo
from ovms.admin.run_settings import RunSettings
from ovms.admin.target import DATABASE_URL, REDIS_URL, SECRET_KEYS, Target, data_directory
from ovms.db.migrate import upgrade
from ovms.local.certificate import development_certificate
from ovms.local.databases import Databases
from ovms.local.datadir import DataDirectory
from ovms.local.ports import check_port
from ovms.local.services import Service, Services
from ovms.local.signals import StopSignals
from ovms.local.terminal import Foreground
from ovms.open_files import raise_limit
from ovms.tls import CERTIFICATE, KEY, open_tls

MARGIN: Final = 5.0
OPEN_FILES: Final = 65_536
"""The limit that databases and services inherit, where the hard limit allows it; services raise theirs to what they need."""

# Which programs to run, given the settings, the variables for them, and the demo that is to run.
Programs: TypeAlias = Callable[[RunSettings, Mapping[str, str], Demo | None], list[Service]]


def programs_of_the_server(settings: RunSettings, environment: Mapping[str, str], demo: Demo | None) -> list[Service]:
    """Both services, and the demo car where the simulator is installed.

    The gateway comes second: once it answers, cars are welcome too.
    """
    car_protocol, gateway = ([sys.executable, "-m", name] for name in ("car_protocol", "api_gateway"))
    services = [
        # It ends by itself within its drain timeout, unless the machine is too slow for its own promises.
        Service("car-protocol", car_protocol, environment, settings.health_url, settings.drain_timeout + MARGIN),
        Service("api-gateway", gateway, environment, f"{settings.http_url}/readyz"),
    ]
    if demo is not None and importlib.util.find_spec("simulator"):
        car = dict(environment)
        for name in (DATABASE_URL, REDIS_URL, SECRET_KEYS):
            del car[name]
        car |= demo.car_environment(settings.reachable_host, settings.v2_port)
        services.append(Service("demo car", [sys.executable, "-m", "simulator"], car))
    return services


def run(environment: Mapping[str, str], *, programs: Programs = programs_of_the_server) -> int:
    """Run everything; 0 once a signal has ended it. Whatever happens, all that was started is stopped.

    Raises:
        InputError: a variable is wrong.
        LocalError: the data directory or a port is in use, or a program did not start or stay.
        TlsError: the certificate that the variables name cannot be used.
    """
    settings = RunSettings.from_environment(environment)
    raise_limit(OPEN_FILES)
    with StopSignals() as signals, Foreground(), ExitStack() as stack:
        directory = stack.enter_context(data_directory(environment))
        for setting, port, host in settings.ports():
            check_port(host, port, setting)
        certificate, key = _certificate(settings, directory)
        databases = Databases(directory, database_url=settings.database_url, redis_url=settings.redis_url)
        stack.callback(databases.stop)
        databases.start()
        target = Target(databases.database_url, settings.secret_keys or directory.secret_keys())
        asyncio.run(upgrade(target.database_url))
        demo = _prepare_demo(settings, target)
        variables = _variables(environment, settings, target, databases.redis_url)
        variables |= {CERTIFICATE: certificate, KEY: key}
        services = Services(signals)
        stack.callback(services.stop)
        for service in programs(settings, variables, demo):
            services.start(service)
        if not signals.received:
            _announce(settings, demo)
        while not signals.received:
            services.check()
            databases.check()
            signals.pause()
    return 0


def _certificate(settings: RunSettings, directory: DataDirectory) -> tuple[str, str]:
    """The files of the certificate that the variables name, else of one for development."""
    if open_tls(settings.tls_certificate, settings.tls_key) is not None:
        return settings.tls_certificate, settings.tls_key
    made = development_certificate(directory.tls, datetime.now(UTC))
    return str(made[0]), str(made[1])


def _variables(environment: Mapping[str, str], settings: RunSettings, target: Target, redis_url: str) -> dict[str, str]:
    """The environment of the services: ours, and what has been decided here."""
    databases = {DATABASE_URL: target.database_url, REDIS_URL: redis_url, SECRET_KEYS: target.secret_keys or ""}
    return {**environment, **settings.for_services(), **databases}


def _prepare_demo(settings: RunSettings, target: Target) -> Demo | None:
    """Return the demo where it is wanted; otherwise leave no published password, and print what that has changed."""
    if settings.demo:
        return load_demo(target, is_public=settings.is_public)
    if done := close_demo(target):
        print(done, flush=True)
    return None


def _announce(settings: RunSettings, demo: Demo | None) -> None:
    lines = [
        "",
        "The OVMS server is ready; Ctrl-C stops it.",
        f"  cars and apps   {settings.reachable_host}:{settings.v2_port}, with TLS {settings.v2_tls_port} (protocol v2)",
        f"  HTTP API        {settings.http_url}/api, with TLS {settings.https_url}/api",
        f"  its manual      {settings.http_url}/docs",
    ]
    if demo is not None and (line := demo.curl_line(settings.http_url)):
        lines += ["", f"  {line}"]
    print("\n".join(lines), end="\n\n", flush=True)
