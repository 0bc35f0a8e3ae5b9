"""Why a command did not do what it was asked; each message is one line for the person who asked.

OvmsError
└── AdminError         exit status 1
    └── InputError     what was given is wrong: exit status 2
"""

from typing import ClassVar

from ovms.errors import OvmsError


class AdminError(OvmsError):
    """The command cannot be done."""

    status: ClassVar[int] = 1


class InputError(AdminError):
    """What was given to the command is wrong."""

    status: ClassVar[int] = 2
