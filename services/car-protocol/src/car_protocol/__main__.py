"""`python -m car_protocol`: serve until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import structlog
import uvloop
from pydantic import ValidationError

from car_protocol.bootstrap import serving
from car_protocol.notifications.error_codes import ErrorCodesUnreadable
from car_protocol.push.channels import CredentialsUnreadable
from car_protocol.settings import Settings
from ovms import wrong_settings
from ovms.db.engine import is_left_behind
from ovms.db.schema import SchemaBehind, check_schema
from ovms.db.sealing import Sealer, SealingError
from ovms.garbage import collect_garbage_seldom
from ovms.listening import HeldPort
from ovms.logs import ToStructlog, configure_logging
from ovms.open_files import fit_connections
from ovms.redaction import Redactor
from ovms.stopping import on_stop_signal
from ovms.stores import store_addresses
from ovms.telemetry import TracesUnavailable
from ovms.tls import TlsError
from ovms.variables import UnknownVariable, check_variables
from ovms.workers import run_workers

AFTER_DRAIN: Final = 4.0
"""Seconds for a stop beyond `OVMS_DRAIN_TIMEOUT`; `ovms run` kills a second later."""


async def serve(settings: Settings, has_started: Callable[[], None]) -> None:
    """Serve until a signal asks to stop."""
    stop, log = asyncio.Event(), structlog.get_logger("service")
    asyncio.get_running_loop().set_exception_handler(_log_crash)
    on_stop_signal(stop.set, within=settings.drain_timeout + AFTER_DRAIN)
    connections = fit_connections(settings.connections, "OVMS_CONNECTIONS", log)
    async with serving(settings.model_copy(update={"connections": connections})) as running:
        collect_garbage_seldom()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, running.reload_certificate)
        has_started()
        await stop.wait()
        log.info("stopping", connections=len(running.server.connections))
    log.info("stopped")


def _log_crash(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug that ended one connection or one callback, and nothing else."""
    if not is_left_behind(context):
        structlog.get_logger("service").error(context["message"], exc_info=context.get("exception"))


def main() -> int:
    """Exit status 0 after a signal, 1 where a port or the certificate cannot be had, 2 where a setting is wrong."""
    try:
        check_variables(os.environ)
        settings = Settings()  # the environment gives them
        sealer = Sealer.from_setting(settings.secret_keys.get_secret_value())
    except (ValidationError, UnknownVariable) as error:
        print(f"car-protocol: {wrong_settings.describe(error)}", file=sys.stderr)  # noqa: T201
        return wrong_settings.STATUS
    except SealingError as error:
        return _fail(str(error))
    redactor = Redactor(None if settings.log_vehicle_ids else sealer.pseudonym)
    stores = store_addresses(settings.database_url, settings.redis_url)
    configure_logging("car-protocol", settings.log_level, redactor, stores)
    logging.getLogger().addHandler(ToStructlog(structlog.get_logger()))
    try:
        asyncio.run(check_schema(settings.database_url.get_secret_value()))
    except SchemaBehind as error:
        return _fail(str(error))
    with ExitStack() as held:
        try:
            shared = {
                name: held.enter_context(HeldPort(settings.host, port)).number for name, port in settings.shared_ports().items()
            }
        except OSError as error:
            return _fail(error.strerror or str(error))
        work = partial(_work, settings.model_copy(update=shared))
        return run_workers(settings.workers, work, structlog.get_logger("workers"))


def _work(settings: Settings, number: int, has_started: Callable[[], None]) -> int:
    try:
        uvloop.run(serve(settings.of_worker(number), has_started))
    except (TlsError, TracesUnavailable, ErrorCodesUnreadable, CredentialsUnreadable) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(error.strerror or str(error))
    return 0


def _fail(reason: str) -> int:
    print(f"car-protocol cannot start: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
