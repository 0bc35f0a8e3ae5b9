"""`python -m car_protocol`: serve until SIGTERM or SIGINT."""

import asyncio
import signal
import sys
from typing import Any

import structlog
import uvloop
from pydantic import ValidationError

from car_protocol.bootstrap import serving
from car_protocol.notifications.error_codes import ErrorCodesUnreadable
from car_protocol.push.channels import CredentialsUnreadable
from car_protocol.settings import Settings
from ovms.garbage import collect_garbage_seldom
from ovms.logs import configure_logging
from ovms.tls import TlsError


async def serve(settings: Settings) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(_log_crash)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings) as running:
        collect_garbage_seldom()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, running.reload_certificate)
        await stop.wait()


def _log_crash(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug that ended one connection or one callback, and nothing else."""
    structlog.get_logger("service").error(context["message"], exc_info=context.get("exception"))


def main() -> int:
    """Exit status 0 after a signal, 1 where a port or the certificate cannot be had, 2 where a setting is wrong."""
    try:
        settings = Settings()  # the environment gives them
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(f"OVMS_{str(problem['loc'][0]).upper()}: {problem['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    configure_logging(settings.log_level)
    try:
        uvloop.run(serve(settings))
    except (TlsError, ErrorCodesUnreadable, CredentialsUnreadable) as error:
        print(f"car-protocol cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"car-protocol cannot start: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
