"""The file that `ovms provision` reads, as data; every mistake in it is one line that names the entry.

{"owners": [{"name": …, "password": …, "email": …, "vehicles": [{"id": …, "password": …}]}],
 "autoprovision": [{"key": …, "secret": …, "owner": …, "parameters": […]}]}
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from ovms.account_rules import EMAIL, OWNER_PASSWORD, VEHICLE_PASSWORD, TextRule, check_owner_name
from ovms.admin.configuration import check_key, check_secret, join_parameters
from ovms.admin.errors import InputError
from ovms.errors import IdentityError
from ovms.identity import check_vehicle_id, fold_vehicle_id

T = TypeVar("T")

_JSON_TYPES: Final[dict[type, str]] = {str: "text", list: "a list", dict: "an object"}

# A file brings accounts that exist somewhere: a password stands in the configuration of a module, and may be shorter than one
# that is set here.
_OWNER_PASSWORD: Final = replace(OWNER_PASSWORD, shortest=1, expected="1 to 256 characters of any kind")
_VEHICLE_PASSWORD: Final = replace(VEHICLE_PASSWORD, shortest=1, expected="1 to 255 characters, no control characters")


@dataclass(frozen=True, slots=True)
class VehicleEntry:
    where: str
    """The place in the document, for messages: `owners[0].vehicles[3]`."""
    vehicle_id: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnerEntry:
    where: str
    name: str
    password: str = field(repr=False)
    email: str
    vehicles: tuple[VehicleEntry, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationEntry:
    """What a module is sent that asks with the key; only the secret opens it."""

    where: str
    key: str
    owner_name: str
    secret: str = field(repr=False)
    record: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """Who and what the server must hold."""

    owners: tuple[OwnerEntry, ...]
    configurations: tuple[ConfigurationEntry, ...] = ()


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        InputError: it cannot be read, is no JSON, or has an entry that is wrong.
    """
    try:
        return parse_document(json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno} column {error.colno}: {error.msg}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_document(value: object) -> Document:
    """Check a decoded document.

    Raises:
        InputError: an entry is wrong; the message begins with its place.
    """
    top = _object("the document", value, required=(), optional=("owners", "autoprovision"))
    owners = tuple(_owner(where, entry) for where, entry in _entries("", top, "owners"))
    _refuse_twice("owner name", ((owner.where, owner.name.lower(), owner.name) for owner in owners))
    vehicles = (vehicle for owner in owners for vehicle in owner.vehicles)
    _refuse_twice("vehicle id", ((v.where, fold_vehicle_id(v.vehicle_id), v.vehicle_id) for v in vehicles))
    configurations = tuple(_configuration(where, entry) for where, entry in _entries("", top, "autoprovision"))
    _refuse_twice("key", ((entry.where, entry.key, entry.key) for entry in configurations))
    return Document(owners, configurations)


def _owner(where: str, value: object) -> OwnerEntry:
    entry = _object(where, value, required=("name", "password"), optional=("email", "vehicles"))
    return OwnerEntry(
        where,
        _checked(where, check_owner_name, _text(where, entry, "name")),
        _secret(where, entry, _OWNER_PASSWORD),
        _checked(where, EMAIL.check, _text(where, entry, "email", default="")),
        tuple(_vehicle(place, vehicle) for place, vehicle in _entries(f"{where}.", entry, "vehicles")),
    )


def _vehicle(where: str, value: object) -> VehicleEntry:
    entry = _object(where, value, required=("id", "password"), optional=())
    return VehicleEntry(
        where, _checked(where, check_vehicle_id, _text(where, entry, "id")), _secret(where, entry, _VEHICLE_PASSWORD)
    )


def _configuration(where: str, value: object) -> ConfigurationEntry:
    entry = _object(where, value, required=("key", "secret", "owner", "parameters"), optional=())
    listed = _typed(where, "parameters", entry["parameters"], list)
    parameters = [_typed(where, f"parameters[{number}]", parameter, str) for number, parameter in enumerate(listed)]
    return ConfigurationEntry(
        where,
        _checked(where, check_key, _text(where, entry, "key")),
        _checked(where, check_owner_name, _text(where, entry, "owner")),
        _checked(where, check_secret, _text(where, entry, "secret")),
        _checked(where, join_parameters, parameters),
    )


def _object(where: str, value: object, *, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where}: not {_JSON_TYPES[dict]}")
    if missing := [name for name in required if name not in value]:
        raise InputError(f"{where}: {missing[0]} is missing")
    if unknown := [name for name in value if name not in (*required, *optional)]:
        raise InputError(f"{where}: {unknown[0]!r} is not known here")
    return value


def _entries(above: str, entry: dict[str, Any], name: str) -> Iterator[tuple[str, object]]:
    for number, value in enumerate(_typed(above.rstrip(".") or "the document", name, entry.get(name, []), list)):
        yield f"{above}{name}[{number}]", value


def _text(where: str, entry: dict[str, Any], name: str, *, default: str | None = None) -> str:
    text = _typed(where, name, entry.get(name, default), str)
    # JSON can spell halves of surrogate pairs, which no encoding has.
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{where}: {name} holds a NUL or half a character")
    return text


def _secret(where: str, entry: dict[str, Any], rule: TextRule) -> str:
    return _checked(where, rule.check, _text(where, entry, "password"))


def _typed(where: str, name: str, value: object, wanted: type[T]) -> T:
    if not isinstance(value, wanted):
        raise InputError(f"{where}: {name} is not {_JSON_TYPES[wanted]}")
    return value


def _checked(where: str, check: Callable[[T], str], value: T) -> str:
    try:
        return check(value)
    except (IdentityError, InputError) as error:
        raise InputError(f"{where}: {error}") from None


def _refuse_twice(what: str, seen: Iterator[tuple[str, str, str]]) -> None:
    first: dict[str, str] = {}
    for where, folded, text in seen:
        if folded in first:
            raise InputError(f"{where}: {what} {text!r} is already that of {first[folded]}")
        first[folded] = where
