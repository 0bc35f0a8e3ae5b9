"""Why a call of the API did not do what it was asked; each message is one line for the person who asked.

OvmsError
└── ClientError              exit status 1
    ├── AccessError          there is no token, or nothing to send it to: exit status 2
    ├── ServerAway           nobody answers at the address
    │   └── ServerSilent     whoever is there was asked, and has not answered: it may have done it
    ├── Refused              the server refuses, in its words
    └── NotDone              exit status 1 where the vehicle failed, 3 where what became of a command is not known yet
"""

from typing import ClassVar

from ovms.errors import OvmsError


class ClientError(OvmsError):
    """The command cannot be done."""

    status: ClassVar[int] = 1


class AccessError(ClientError):
    """The server's address or the token is missing or wrong."""

    status: ClassVar[int] = 2


class ServerAway(ClientError):
    """Nobody answers, or no more."""


class ServerSilent(ServerAway):
    """It was asked, and nobody knows what it made of that."""


class Refused(ClientError):
    """The server does not do what was asked."""


class NotDone(ClientError):
    """The vehicle has not done what it was told."""


class NotDoneYet(NotDone):
    """What became of a command is not known."""

    status: ClassVar[int] = 3
