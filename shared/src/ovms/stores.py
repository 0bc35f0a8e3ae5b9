"""Where the stores are, as a service's settings say it: checked as they are read, and never shown."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, SecretStr

from ovms.bus.client import check_redis_url
from ovms.db.address import read_address


def _leads_to_postgresql(setting: SecretStr) -> SecretStr:
    read_address(setting.get_secret_value())
    return setting


def _leads_to_redis(setting: SecretStr) -> SecretStr:
    check_redis_url(setting.get_secret_value())
    return setting


DatabaseUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_leads_to_postgresql)]
RedisUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_leads_to_redis)]
