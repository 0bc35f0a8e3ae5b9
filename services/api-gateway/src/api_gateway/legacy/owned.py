"""Polled reads of one vehicle: who calls, whether the credential stands, and the messages, in one statement."""

from fastapi import Request

from api_gateway.auth.authenticator import Caller
from api_gateway.dependencies import caller_of, parts_of
from api_gateway.errors import ApiError, AuthenticationFailed, Forbidden, InsufficientRights
from api_gateway.legacy.vehicle_ids import check_possible
from ovms.db.state import Newest, OwnedStates


async def read_owned(request: Request, vehicle_id: str, codes: str, *scopes: str) -> tuple[Caller, int, Newest]:
    """Return the caller, the number of a vehicle of the caller's own, and the newest messages of these codes of it.

    Raises:
        AuthenticationFailed: there is no credential, or it no longer stands.
        InsufficientRights: it does not allow all of these scopes.
        Forbidden: the caller has no such vehicle.
    """
    parts = parts_of(request.scope)
    caller, states = await parts.callers.find_claimant(request.scope), parts.states
    try:
        return caller, *await _read(states, caller, vehicle_id, codes, scopes)
    except ApiError:
        # Nothing else is said to a credential that no longer stands; one that was remembered may be right under a new proof.
        caller = await caller_of(request)
        return caller, *await _read(states, caller, vehicle_id, codes, scopes)


async def _read(
    states: OwnedStates, caller: Caller, vehicle_id: str, codes: str, scopes: tuple[str, ...]
) -> tuple[int, Newest]:
    if not all(caller.may(scope) for scope in scopes):
        raise InsufficientRights
    check_possible(caller, vehicle_id)
    state = await states.read(caller.owner_id, caller.login.proof, vehicle_id, codes)
    if not state.stands:
        raise AuthenticationFailed
    if state.number is None or state.newest is None:
        raise Forbidden
    return state.number, state.newest
