"""What somebody signs in with."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Password:
    """A user name with a password, or with an API token in its place."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An API token by itself."""

    token: str = field(repr=False)


Credential = Password | BearerToken
