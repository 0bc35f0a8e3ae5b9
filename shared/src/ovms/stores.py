"""Where the stores are, as a service's settings say it: checked as they are read, and never shown."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, SecretStr

from ovms.bus.address import hosts as redis_hosts
from ovms.bus.client import check_redis_url
from ovms.db.address import read_address
from ovms.outages import POSTGRESQL, REDIS


def _leads_to_postgresql(setting: SecretStr) -> SecretStr:
    read_address(setting.get_secret_value())
    return setting


def _leads_to_redis(setting: SecretStr) -> SecretStr:
    check_redis_url(setting.get_secret_value())
    return setting


def store_addresses(database_url: SecretStr, redis_url: SecretStr) -> dict[str, str]:
    """Return where the stores are, as the log says it: without credentials and options."""
    hosts = read_address(database_url.get_secret_value()).hosts
    return {POSTGRESQL: ",".join(map(str, hosts)), REDIS: redis_hosts(redis_url.get_secret_value())}


DatabaseUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_leads_to_postgresql)]
RedisUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_leads_to_redis)]
