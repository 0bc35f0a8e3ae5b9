"""Protocol v2, pure: bytes and times in, bytes and events out; no socket, clock, randomness or log in here.

A session is fed with `receive_data(data, now)`; after that ask it for `events()`, send `data_to_send()` and come back with
`handle_timer(now)` at `next_timer()`. What the peer did wrong is an event, `Failed`; what we did wrong is a `StateError`.
"""

from ovms.protocol.client import ClientSession, Welcomed
from ovms.protocol.events import Failed
from ovms.protocol.server import ServerSession
from ovms.protocol.states import ClientState, State
from ovms.protocol.timers import Timeouts
from ovms.protocol.welcome import ANY_VEHICLE, Login, ProvisionRequest, UserLogin

__all__ = [
    "ANY_VEHICLE",
    "ClientSession",
    "ClientState",
    "Failed",
    "Login",
    "ProvisionRequest",
    "ServerSession",
    "State",
    "Timeouts",
    "UserLogin",
    "Welcomed",
]
