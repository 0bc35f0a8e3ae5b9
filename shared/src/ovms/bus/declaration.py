"""The ways to declare a channel of Redis and what is published on it.

A body is bytes. Where it is no JSON, schemas and examples speak of its text in Latin-1, in which every byte is one character.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema, draft 7."""

COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NAME: Final[Schema] = {"type": "string", "pattern": "^[^ ]+$"}
BYTES: Final[Schema] = {"type": "string"}

_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"


class Service(Enum):
    """Who publishes or hears."""

    CAR_PROTOCOL = "car-protocol"
    API_GATEWAY = "api-gateway"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a body."""

    name: str
    schema: Schema
    title: str
    example: Any
    is_internal: bool = False
    """It may change with any version, also on a public channel."""

    def described(self) -> Schema:
        """Its schema, with what it means."""
        internal = {"x-internal": True} if self.is_internal else {}
        return {**self.schema, "description": self.title, **internal}


class Body(Protocol):
    """What is published."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def example(self) -> Any:
        """A body, as the schema speaks of it."""

    def payload(self) -> Schema:
        """The schema of a body."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of protocol v2 as it goes over the wire: one byte of code, then the data."""

    name: str
    title: str
    pattern: str
    example: str
    content_type: str = _OCTETS

    def payload(self) -> Schema:
        """The schema of a body."""
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Words:
    """A word, then fields with a space after each; the last field is the rest of the body and may be any bytes."""

    name: str
    title: str
    fields: tuple[Field, ...]
    content_type: str = _OCTETS

    @property
    def example(self) -> str:
        """A body, as the schema speaks of it."""
        return " ".join([self.name, *(str(field.example) for field in self.fields)])

    def payload(self) -> Schema:
        """The schema of a body."""
        *others, last = self.fields
        fields = [_pattern(field, r"[^ ]+") for field in others] + [_pattern(last, r"[\s\S]*")]
        shape = " ".join(f"<{field.name}>" for field in self.fields)
        return {
            "type": "string",
            "description": f"{self.name} {shape}",
            "pattern": f"^{' '.join([self.name, *fields])}$",
            "x-fields": [{"name": field.name, "schema": field.described()} for field in self.fields],
        }


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object; members may be added to it in any version."""

    name: str
    title: str
    fields: tuple[Field, ...]
    content_type: str = _JSON

    @property
    def example(self) -> Mapping[str, Any]:
        """A body, as the schema speaks of it."""
        return {field.name: field.example for field in self.fields}

    def payload(self) -> Schema:
        """The schema of a body."""
        return json_object(*self.fields)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What stands for itself in a channel's address."""

    name: str
    title: str
    example: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel: its name for all values of its parameters, who publishes and hears what."""

    name: str
    address: str
    """`{parameter}` stands for its value; other braces are part of the name."""
    title: str
    parameters: tuple[Parameter, ...]
    bodies: tuple[Body, ...]
    publishers: tuple[Service, ...]
    subscribers: tuple[Service, ...]
    is_public: bool = False
    """Whether other programs may rely on it; otherwise it may change with any version."""

    def filled_in(self, *values: str) -> str:
        """Return the name of the channel for values of its parameters, in order."""
        name = self.address
        for parameter, value in zip(self.parameters, values, strict=True):
            name = name.replace(f"{{{parameter.name}}}", value)
        return name


def json_object(*fields: Field) -> Schema:
    """The schema of an object that has all of these."""
    properties = {field.name: field.described() for field in fields}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _pattern(field: Field, text: str) -> str:
    return "[0-9]+" if field.schema.get("type") == "integer" else text
