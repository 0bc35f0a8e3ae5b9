"""What can be asked of the `ovms` command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ovms.admin import calls, commands
from ovms.auth.rights import RIGHTS

if TYPE_CHECKING:
    # argparse has no public name for what `add_subparsers` returns.
    _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="ovms",
        description="Administer an OVMS server, or look after a vehicle.",
        epilog="Works on OVMS_DATABASE_URL, or else on the database of the data directory (OVMS_DATA_DIR, .ovms). "
        "Publishes what it revokes on OVMS_REDIS_URL, or else on the Redis of the data directory. "
        "Passwords are asked for, or read from standard input. status, watch and command ask the server at OVMS_API_URL "
        "(http://127.0.0.1:6868) with the API token in OVMS_API_TOKEN, or in the file that OVMS_API_TOKEN_FILE names "
        "(~/.config/ovms/token), which only its owner may read.",
    )
    top.set_defaults(call=None)
    subjects = top.add_subparsers(required=True, metavar="COMMAND")
    _command(subjects, "run", "run everything on this machine until Ctrl-C", None)
    migrate = _command(subjects, "migrate", "bring the database to this version's form", commands.migrate)
    migrate.add_argument("--check", action="store_true", help="change nothing, only say whether it has that form")
    migrate.add_argument(
        "--allow-newer",
        action="store_true",
        help="succeed where a newer version has migrated it, as after a return to this one",
    )
    rotates = _command(subjects, "rotate-key", "seal all secrets anew under the first of OVMS_SECRET_KEYS", commands.rotate_key)
    rotates.add_argument("--check", action="store_true", help="change nothing, only say which keys are needed")
    provision = _command(subjects, "provision", "make the database hold what a JSON file lists", commands.provision)
    provision.add_argument("file", metavar="FILE")
    _import_command(subjects)
    _owner_commands(_subject(subjects, "owner", "people and their passwords"))
    _vehicle_commands(_subject(subjects, "vehicle", "cars and their passwords"))
    _token_commands(_subject(subjects, "token", "API tokens"))
    _autoprovision_commands(_subject(subjects, "autoprovision", "configurations for modules that ask for theirs"))
    _api_commands(subjects)
    return top


def _import_command(subjects: _Subparsers) -> None:
    summary = "bring what a reference server holds, from the MySQL or MariaDB of OVMS_REFERENCE_URL"
    brings = _command(subjects, "import-reference", summary, commands.import_reference)
    brings.add_argument("--dry-run", action="store_true", help="only say what would be taken and what left out")
    brings.add_argument(
        "--plain-passwords", action="store_true", help="owners' passwords are stored there as they are (AuthDbSimple)"
    )


def _owner_commands(verbs: _Subparsers) -> None:
    add = _command(verbs, "add", "add an owner", commands.owner_add)
    add.add_argument("name")
    add.add_argument("--email", default="")
    _command(verbs, "list", "list owners", commands.owner_list)
    _removal(verbs, "remove an owner with tokens, vehicles and all that they sent", commands.owner_remove).add_argument("name")
    _command(verbs, "password", "change an owner's password", commands.owner_password).add_argument("name")


def _vehicle_commands(verbs: _Subparsers) -> None:
    add = _command(verbs, "add", "add a vehicle", commands.vehicle_add)
    add.add_argument("id")
    add.add_argument("--owner", required=True)
    _command(verbs, "list", "list vehicles", commands.vehicle_list).add_argument("--owner")
    _removal(verbs, "remove a vehicle and all that it sent", commands.vehicle_remove).add_argument("id")
    _command(verbs, "password", "change a vehicle's password", commands.vehicle_password).add_argument("id")
    _command(verbs, "alias", "print what the services' logs call a vehicle", commands.vehicle_alias).add_argument("id")


def _token_commands(verbs: _Subparsers) -> None:
    add = _command(verbs, "add", "make a token and print it, this once", commands.token_add)
    add.add_argument("owner")
    add.add_argument("--application", default="")
    add.add_argument("--purpose", default="")
    rights = f"* for every right (default), or some of {', '.join(RIGHTS)}, with commas between"
    add.add_argument("--permit", default="*", help=rights)
    _command(verbs, "list", "list an owner's tokens", commands.token_list).add_argument("owner")
    remove = _removal(verbs, "remove a token", commands.token_remove)
    remove.add_argument("owner")
    remove.add_argument("token", help="its identifier, as `list` shows it, or the token")


def _autoprovision_commands(verbs: _Subparsers) -> None:
    summary = "add a configuration; its secret, then its parameters with spaces between are asked for"
    add = _command(verbs, "add", summary, commands.autoprovision_add)
    add.add_argument("key", help="what the module asks with, usually the VIN")
    add.add_argument("--owner", required=True)
    _command(verbs, "list", "list configurations", commands.autoprovision_list)
    _removal(verbs, "remove a configuration", commands.autoprovision_remove).add_argument("key")


def _api_commands(subjects: _Subparsers) -> None:
    status = _call(subjects, "status", "show your vehicles, or what one sent last", calls.status)
    status.add_argument("vehicle", nargs="?", metavar="VEHICLE")
    status.add_argument("--json", action="store_true", help="as JSON")
    watch = _call(subjects, "watch", "show what happens to a vehicle until Ctrl-C", calls.watch)
    watch.add_argument("vehicle", metavar="VEHICLE")
    command = _call(
        subjects,
        "command",
        "tell a vehicle something; exit status 1: it has not done it, 3: what became of it is not known",
        calls.command,
    )
    command.add_argument("vehicle", metavar="VEHICLE")
    command.add_argument("kind", metavar="KIND", help="such as lock, wake_up or set_charge_mode: the API's manual lists them")
    command.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="such as mode=range")
    command.add_argument("--pin", action="store_true", help="ask for a PIN, or read it from standard input")
    command.add_argument("--queue", action="store_true", help="wait for a vehicle that is not connected")
    command.add_argument("--wait", type=int, default=30, metavar="SECONDS", help="for its answer (default: 30)")


def _subject(subjects: _Subparsers, name: str, summary: str) -> _Subparsers:
    return subjects.add_parser(name, help=summary, description=summary).add_subparsers(required=True, metavar="VERB")


def _command(into: _Subparsers, name: str, summary: str, prepare: commands.Prepare | None) -> argparse.ArgumentParser:
    made = into.add_parser(name, help=summary, description=summary)
    made.set_defaults(prepare=prepare)
    return made


def _removal(into: _Subparsers, summary: str, prepare: commands.Prepare) -> argparse.ArgumentParser:
    made = _command(into, "remove", f"{summary}; asks first", prepare)
    made.add_argument("--yes", action="store_true", help="do not ask")
    return made


def _call(into: _Subparsers, name: str, summary: str, call: calls.Call) -> argparse.ArgumentParser:
    made = into.add_parser(name, help=summary, description=summary)
    made.set_defaults(call=call)
    return made
