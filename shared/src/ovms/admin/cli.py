"""The `ovms` command: does what is asked, and says in one line what goes wrong."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from ovms.admin import commands
from ovms.admin.arguments import parser
from ovms.admin.commands import Work
from ovms.admin.env_file import with_env_file
from ovms.admin.errors import AdminError, InputError
from ovms.admin.run import run
from ovms.admin.target import Target, open_target
from ovms.client.errors import ClientError
from ovms.db.engine import UNAVAILABLE
from ovms.errors import OvmsError
from ovms.variables import UnknownVariable, check_variables

_UNDEFINED_TABLE: Final = "42P01"


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    run_everything: Callable[[Mapping[str, str]], int] = run,
) -> int:
    """Do what the arguments ask; return the exit status: 1 when it cannot be done, 2 when what was given is wrong.

    A command whose outcome is not known is 3.

    Args:
        environment: the variables; None: those of this process, and of the file `.env`.
    """
    asked = parser().parse_args(arguments)
    try:
        environment = with_env_file(os.environ) if environment is None else environment
        _check(environment)
        if asked.call is not None:
            asked.call(asked, environment)
        elif asked.prepare is None:
            return run_everything(environment)
        else:
            _do(asked, environment)
    except (AdminError, ClientError) as error:
        return _complain(error, error.status)
    except OvmsError as error:
        return _complain(error, 1)
    except DBAPIError as error:
        return _complain(_database_trouble(error.orig or error), 1)
    except (*UNAVAILABLE, asyncpg.PostgresError) as error:
        return _complain(_database_trouble(error), 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _check(environment: Mapping[str, str]) -> None:
    try:
        check_variables(environment)
    except UnknownVariable as error:
        raise InputError(str(error)) from None


def _do(asked: argparse.Namespace, environment: Mapping[str, str]) -> None:
    work: Work = asked.prepare(asked)
    creates = asked.prepare is commands.migrate and not asked.check
    with open_target(environment, creates=creates) as target:
        asyncio.run(_within(work, target))


async def _within(work: Work, target: Target) -> None:
    await work(target)


def _complain(problem: object, status: int) -> int:
    print(f"ovms: {problem}", file=sys.stderr)
    return status


def _database_trouble(error: BaseException) -> str:
    """One line; parameters, among which secrets may be, are never in it."""
    if getattr(error, "sqlstate", None) == _UNDEFINED_TABLE:
        return "the database has no tables yet: run `ovms migrate`"
    cause = error.__cause__ if isinstance(error.__cause__, asyncpg.PostgresError) else error
    return f"database: {str(cause).partition(chr(10))[0] or type(cause).__name__}"
