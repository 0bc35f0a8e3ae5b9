"""What is remembered of a cluster's nodes, of one that only tells who has which slots."""

from typing import Any, cast

from redis.exceptions import MovedError

from ovms.bus.client import open_redis
from ovms.bus.nodes import Client, Nodes


class Home:
    """The node whose address we are told."""

    def __init__(self) -> None:
        self.connection_pool = open_redis("redis://127.0.0.1:1").connection_pool
        self.others: list[int] = []

    async def execute_command(self, *_: str) -> list[list[Any]]:
        return [[0, 8191, [b"", 1]], *([8192, 16383, [b"127.0.0.1", port]] for port in self.others)]


async def test_nodes_that_have_left_are_forgotten() -> None:
    home = Home()
    nodes = Nodes(cast("Client", home))

    async def port_of(node: Client) -> int:
        if node is cast("Client", home):
            raise MovedError("12182 127.0.0.1:2")
        port: int = node.connection_pool.connection_kwargs["port"]
        return port

    home.others = [2]
    assert await nodes.at("foo", port_of) == 2  # in slot 12182
    home.others = [3]
    nodes._is_stale = True
    assert await nodes.at("foo", port_of) == 3
    assert list(nodes._others) == [("127.0.0.1", 3)]
    await nodes.aclose()
