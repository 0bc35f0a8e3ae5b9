"""What each command does with its arguments: what must be asked is asked first, the database is opened after that."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from ovms.account_rules import EMAIL, OWNER_PASSWORD, SHORT_TEXT, VEHICLE_PASSWORD, check_owner_name
from ovms.admin import autoprovision, owner, token, vehicle
from ovms.admin.configuration import check_key, check_secret, join_parameters
from ovms.admin.document import read_document
from ovms.admin.errors import AdminError, InputError
from ovms.admin.passwords import ask_hidden, ask_password, checked, confirm_removal
from ovms.admin.provision import provision as provision_document
from ovms.admin.reference.command import bring
from ovms.admin.revoked import Revoked, publish
from ovms.admin.rotation import rotate
from ovms.admin.target import Target
from ovms.auth.rights import check_permit
from ovms.db.engine import Connection, open_pool
from ovms.db.migrate import Schema, read_schema, upgrade
from ovms.identity import check_new_vehicle_id

Work: TypeAlias = Callable[[Target], Awaitable[None]]
Prepare: TypeAlias = Callable[[argparse.Namespace], Work]


def migrate(asked: argparse.Namespace) -> Work:
    async def work(target: Target) -> None:
        schema = await read_schema(target.database_url)
        if asked.check and schema is Schema.BEHIND:
            raise AdminError("the database has not been migrated to this version yet: run `ovms migrate`")
        if schema is Schema.NEWER and (asked.check or asked.allow_newer):
            print("a newer version has migrated the database; this version can use it")
            return
        if not asked.check:
            await upgrade(target.database_url)
        print("the database has the form of this version")

    return work


def provision(asked: argparse.Namespace) -> Work:
    path = Path(asked.file)
    document = read_document(path)

    async def work(connection: Connection, target: Target) -> Revoked:
        try:
            outcome = await provision_document(connection, document, target.sealer())
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        print(outcome)
        return Revoked(outcome.new_passwords)

    return _transaction(work)


def import_reference(asked: argparse.Namespace) -> Work:
    return lambda target: bring(target, has_plain_passwords=asked.plain_passwords, is_trial=asked.dry_run)


def rotate_key(asked: argparse.Namespace) -> Work:
    return lambda target: rotate(target, is_trial=asked.check)


def owner_add(asked: argparse.Namespace) -> Work:
    checked(check_owner_name, asked.name)
    checked(EMAIL.check, asked.email)
    password = ask_password(f"owner {asked.name}", OWNER_PASSWORD)
    return _transaction(lambda db, _: owner.add(db, asked.name, email=asked.email, password=password))


def owner_list(_: argparse.Namespace) -> Work:
    return _transaction(lambda db, _: owner.show(db))


def owner_remove(asked: argparse.Namespace) -> Work:
    confirm_removal(f"owner {asked.name}, with tokens, vehicles and all that they sent", is_confirmed=asked.yes)
    return _transaction(lambda db, _: owner.remove(db, asked.name))


def owner_password(asked: argparse.Namespace) -> Work:
    password = ask_password(f"owner {asked.name}", OWNER_PASSWORD)
    return _transaction(lambda db, _: owner.change_password(db, asked.name, password))


def vehicle_add(asked: argparse.Namespace) -> Work:
    checked(check_new_vehicle_id, asked.id)
    password = ask_password(f"vehicle {asked.id}", VEHICLE_PASSWORD)
    return _transaction(lambda db, target: vehicle.add(db, asked.id, asked.owner, password, target.sealer()))


def vehicle_list(asked: argparse.Namespace) -> Work:
    return _transaction(lambda db, _: vehicle.show(db, asked.owner))


def vehicle_remove(asked: argparse.Namespace) -> Work:
    confirm_removal(f"vehicle {asked.id}, with all that it sent", is_confirmed=asked.yes)
    return _transaction(lambda db, _: vehicle.remove(db, asked.id))


def vehicle_password(asked: argparse.Namespace) -> Work:
    password = ask_password(f"vehicle {asked.id}", VEHICLE_PASSWORD)
    return _transaction(lambda db, target: vehicle.change_password(db, asked.id, password, target.sealer()))


def vehicle_alias(asked: argparse.Namespace) -> Work:
    async def work(target: Target) -> None:
        print(target.sealer().pseudonym(asked.id))

    return work


def autoprovision_add(asked: argparse.Namespace) -> Work:
    key = check_key(asked.key)
    secret = check_secret(ask_hidden(f"secret of {key}"))
    record = join_parameters(ask_hidden(f"parameters of {key}").split(" "))
    return _transaction(
        lambda db, target: autoprovision.add(db, key, asked.owner, secret=secret, record=record, sealer=target.sealer())
    )


def autoprovision_list(_: argparse.Namespace) -> Work:
    return _transaction(lambda db, _: autoprovision.show(db))


def autoprovision_remove(asked: argparse.Namespace) -> Work:
    confirm_removal(f"configuration {asked.key}", is_confirmed=asked.yes)
    return _transaction(lambda db, _: autoprovision.remove(db, asked.key))


def token_add(asked: argparse.Namespace) -> Work:
    permit = checked(check_permit, asked.permit)
    about = {"application": asked.application, "purpose": asked.purpose, "permit": permit}
    for text in (asked.application, asked.purpose):
        checked(SHORT_TEXT.check, text)
    return _pool(lambda db: token.add(db, asked.owner, **about))


def token_list(asked: argparse.Namespace) -> Work:
    return _pool(lambda db: token.show(db, asked.owner))


def token_remove(asked: argparse.Namespace) -> Work:
    confirm_removal(f"a token of owner {asked.owner}", is_confirmed=asked.yes)
    return _pool(lambda db: token.remove(db, asked.owner, asked.token))


def _transaction(action: Callable[[Connection, Target], Awaitable[Revoked | None]]) -> Work:
    """Do all of an action or nothing of it, and publish what it has revoked."""

    async def work(target: Target) -> None:
        async with (
            await open_pool(target.database_url, size=1) as pool,
            pool.acquire() as connection,
            connection.transaction(),
        ):
            revoked = await action(connection, target)
        if revoked is not None:
            await publish(target, revoked)

    return work


def _pool(action: "Callable[[asyncpg.Pool[Any]], Awaitable[Revoked | None]]") -> Work:
    async def work(target: Target) -> None:
        async with await open_pool(target.database_url, size=1) as pool:
            revoked = await action(pool)
        if revoked is not None:
            await publish(target, revoked)

    return work
