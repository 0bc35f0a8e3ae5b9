"""What the bodies of several calls have in common."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api_gateway.v1.errors import InvalidRequest
from ovms.auth.rights import SCOPES, allows

LONGEST_TEXT: Final = 255

PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"

ShortText = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=PRINTABLE)]
Scope = Literal["read", "location", "history", "control", "admin"]
# NIST SP 800-63B: a length, and no rules of composition.
OwnerPassword = Annotated[str, Field(min_length=8, max_length=256, pattern=r"^[^\x00]*$")]
GivenPassword = Annotated[str, Field(max_length=1024)]
Email = Annotated[str, Field(max_length=320, pattern=r"^([^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255})?$")]
Instant = Annotated[AwareDatetime, Field(description="RFC 3339")]


class Wanted(BaseModel):
    """A body; a member that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def permit_of(scopes: Sequence[str]) -> str:
    """The permit that allows what these scopes say."""
    return ",".join(scope for scope in SCOPES if scope in scopes)


def scopes_of(permit: str) -> list[str]:
    """The scopes that a permit allows, as they are listed."""
    return [scope for scope in SCOPES if allows(permit, scope)]


def check_future(moment: datetime | None, now: float) -> None:
    """Raise `InvalidRequest` for an `expires_at` that has passed."""
    if moment is not None and moment <= datetime.fromtimestamp(now, UTC):
        raise InvalidRequest.of("expires_at", "It has passed")
