"""What the bodies of several calls have in common."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api_gateway.v1.errors import InvalidRequest
from ovms.account_rules import EMAIL, OWNER_PASSWORD, SHORT_TEXT
from ovms.auth.rights import SCOPES, allows

ShortText = Annotated[str, Field(max_length=SHORT_TEXT.longest, pattern=SHORT_TEXT.pattern)]
Scope = Literal["read", "location", "history", "control", "admin"]
OwnerPassword = Annotated[
    str, Field(min_length=OWNER_PASSWORD.shortest, max_length=OWNER_PASSWORD.longest, pattern=OWNER_PASSWORD.pattern)
]
GivenPassword = Annotated[str, Field(max_length=1024)]
Email = Annotated[str, Field(max_length=EMAIL.longest, pattern=EMAIL.pattern)]
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
