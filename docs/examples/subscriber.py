"""Prints what cars say, and who is connected to them: `python subscriber.py DEMO …`. OVMS_REDIS_URL says where Redis is.

Channels and what is published on them are described in docs/asyncapi.yaml. Nothing is kept for who was away: what a car said
before, or while this program had lost Redis, is in the HTTP API.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import redis


def main(vehicle_ids: Sequence[str]) -> None:
    """Listen until Ctrl-C, whatever becomes of Redis."""
    client = redis.Redis.from_url(os.environ.get("OVMS_REDIS_URL", "redis://127.0.0.1:6379"))
    while True:
        try:
            listen(client, vehicle_ids)
        except redis.RedisError as error:
            print(f"Redis is away: {error}", flush=True)
            time.sleep(1)


def listen(client: redis.Redis, vehicle_ids: Sequence[str]) -> None:
    """Print what comes, until Redis is lost."""
    with client.pubsub() as pubsub:
        # The braces are part of the name. The asterisk stands for the vehicle's number, which is in the database.
        pubsub.psubscribe(*(f"ovms:{{{name.upper()}}}:*:{what}" for name in vehicle_ids for what in ("messages", "peers")))
        for event in pubsub.listen():
            channel, body = event["channel"].decode(), event["data"]
            if event["type"] == "psubscribe":
                print(f"{channel} is heard", flush=True)
            elif channel.endswith(":peers"):
                peers = json.loads(body)
                print(f"{channel} car {peers['car']}, apps {peers['apps']}, batch clients {peers['batch']}", flush=True)
            else:
                # The version, a blank, one byte of code, then the data; the data is bytes, and mostly UTF-8.
                version, _, message = body.partition(b" ")
                code, data = message[:1].decode("latin-1"), message[1:].decode(errors="replace")
                text = f"{code} {data}" if message else f"messages up to {version.decode()} may have been dropped"
                print(f"{channel} {text}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit("usage: subscriber.py VEHICLE-ID …")
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:])
