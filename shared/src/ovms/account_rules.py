"""The rules for names, passwords and texts of accounts: one place for the HTTP API and the `ovms` command.

What a reference server holds, or a file of `ovms provision` lists, may be shorter: these rules are for what is set here.
"""

import re
from dataclasses import dataclass
from typing import Final

from ovms.errors import IdentityError

PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"


@dataclass(frozen=True, slots=True)
class TextRule:
    """Which texts are accepted. `check` and a schema made of the members accept the same."""

    what: str
    shortest: int
    longest: int
    pattern: str
    expected: str
    is_secret: bool = False

    def check(self, text: str) -> str:
        """Return a text that the rule accepts.

        Raises:
            IdentityError: the rule rejects it. The message does not hold a secret.
        """
        if not self.shortest <= len(text) <= self.longest or not re.search(self.pattern, text) or text.endswith("\n"):
            shown = "" if self.is_secret else f" {text!r}"
            raise IdentityError(f"{self.what}{shown}: {self.expected}")
        return text


# NIST SP 800-63B: a length, and no rules of composition.
OWNER_PASSWORD: Final = TextRule("password of an owner", 8, 256, r"^[^\x00]*$", "8 to 256 characters of any kind", True)
# The welcome of protocol v2 lets a passer-by try passwords as fast as their machine can: a short one keeps nobody out.
VEHICLE_PASSWORD: Final = TextRule(
    "password of a vehicle", 8, 255, PRINTABLE, "8 to 255 characters, no control characters", True
)
EMAIL: Final = TextRule(
    "e-mail address", 0, 320, r"^([^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255})?$", "of the form name@host"
)
SHORT_TEXT: Final = TextRule("text", 0, 255, PRINTABLE, "at most 255 characters, no control characters")

_LONGEST_NAME: Final = 255


def check_owner_name(name: str) -> str:
    """Return an owner's name as it is spelled.

    Raises:
        IdentityError: it is empty, too long, starts or ends with a space, or holds a character that is not printable.
    """
    if not name or len(name) > _LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise IdentityError(f"owner name {name!r}: 1 to {_LONGEST_NAME} printable characters, no space at the ends")
    return name
