"""Connections to repositories of forges: list, get, put, delete, and handle a delivery that a user has.

Their Secrets are named after them and have a label of their own: steps of pipelines can't use them.
"""

import base64
import contextlib
from collections.abc import Sequence
from secrets import token_urlsafe
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller import labels
from controller.api.auth.route import GuardedRoute
from controller.api.connections.deliveries import deliver, replay
from controller.api.connections.serialize import serialize_connection
from controller.api.http.problems import ApiProblemError
from controller.api.models import connections as models
from controller.api.state import AppState, get_state
from controller.forge_secrets import host_of, hosts_of, is_for_forges
from controller.forges.requests import ForgeAddressError, repository_of
from controller.kube import (
    REPOSITORY_CONNECTIONS,
    SECRETS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
)

ATTEMPTS = 10
Connection = dict[str, Any]

router = APIRouter(prefix="/api/v1/namespaces/{ns}/connections", tags=["connections"], route_class=GuardedRoute)


@router.get("", operation_id="listConnections", response_model=models.ConnectionList)
async def list_connections(request: Request, ns: str) -> Response:
    """The connections of the namespace, by name."""
    state = get_state(request)
    found = await state.client.list(REPOSITORY_CONNECTIONS, namespace=ns)
    items = sorted(found["items"], key=lambda each: str(each["metadata"]["name"]))
    return JSONResponse({"items": [serialize_connection(each, state.runs) for each in items]})


@router.get("/{connection}", operation_id="getConnection", response_model=models.ConnectionAnswer)
async def get_connection(request: Request, ns: str, connection: str) -> Response:
    """One connection, with its last deliveries."""
    state = get_state(request)
    return JSONResponse(serialize_connection(await _find(state, ns, connection), state.runs))


@router.put(
    "/{connection}",
    operation_id="putConnection",
    response_model=models.ConnectionAnswer,
    responses={201: {"model": models.ConnectionAnswer, "description": "Created"}},
)
async def put_connection(request: Request, ns: str, connection: str, body: models.ConnectionRequest) -> Response:
    """Creates or replaces a connection: 201 if it is new, else 200."""
    state = get_state(request)
    try:
        current: Connection | None = await state.client.get(REPOSITORY_CONNECTIONS, connection, namespace=ns)
    except NotFoundError:
        current = None
    secret = body.webhook_secret
    if secret is None and current is None:
        secret = token_urlsafe(32)
    if body.credentials is None and current is not None:
        await _require_known_hosts(state, current, body)
    stored = await _store(state, ns, connection, body, current)
    if secret is not None:
        await _put_secret(state, stored, _webhook_name(stored), {"secret": secret})
    if body.credentials is not None:
        await _put_secret(state, stored, _auth_name(stored), body.credentials.values(), hosts=_hosts(body))
    answer = serialize_connection(stored, state.runs)
    if current is None and body.webhook_secret is None:
        answer["webhookSecret"] = secret
    return JSONResponse(answer, status_code=201 if current is None else 200)


@router.delete("/{connection}", operation_id="deleteConnection", status_code=204, response_class=Response)
async def delete_connection(request: Request, ns: str, connection: str) -> Response:
    """Deletes a connection and its Secrets; its runs remain."""
    state = get_state(request)
    await _find(state, ns, connection)
    # Its Secrets have it as their owner.
    await state.client.delete(REPOSITORY_CONNECTIONS, connection, namespace=ns)
    return Response(status_code=204)


@router.post("/{connection}/deliveries", operation_id="deliverPayload", response_model=models.DeliveryOutcome)
async def deliver_payload(request: Request, ns: str, connection: str, body: models.PayloadRequest) -> Response:
    """Handles a payload as the receiver would if the forge sent it."""
    state = get_state(request)
    return JSONResponse(await deliver(state, await _find(state, ns, connection), body.headers, body.body))


@router.post(
    "/{connection}/deliveries/{delivery}/replay", operation_id="replayDelivery", response_model=models.DeliveryOutcome
)
async def replay_delivery(request: Request, ns: str, connection: str, delivery: str) -> Response:
    """Handles a delivery of the list again, with the connection and the pipelines as they are now."""
    state = get_state(request)
    found = await _find(state, ns, connection)
    return JSONResponse(await replay(state, found, delivery, request.state.user.name))


async def _find(state: AppState, namespace: str, name: str) -> Connection:
    try:
        return await state.client.get(REPOSITORY_CONNECTIONS, name, namespace=namespace)
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no connection {name} in the namespace {namespace}") from None


async def _store(
    state: AppState, namespace: str, name: str, body: models.ConnectionRequest, current: Connection | None
) -> Connection:
    for _ in range(ATTEMPTS):
        has_auth = body.credentials is not None or bool(current and current["spec"].get("authSecretRef"))
        spec = models.as_spec(body, f"{name}-webhook", f"{name}-auth" if has_auth else None)
        if current is not None:
            # Those that were chosen with kubectl stay.
            spec |= {
                field: current["spec"][field]
                for field, given in (("webhookSecretRef", body.webhook_secret), ("authSecretRef", body.credentials))
                if given is None and field in current["spec"]
            }
        try:
            if current is None:
                return await state.client.create(
                    REPOSITORY_CONNECTIONS,
                    {"metadata": {"name": name, "namespace": namespace}, "spec": spec},
                    namespace=namespace,
                )
            return await state.client.update(REPOSITORY_CONNECTIONS, {**current, "spec": spec})
        except (AlreadyExistsError, ConflictError):
            current = await _find(state, namespace, name)
        except NotFoundError:
            raise ApiProblemError("not-found", f"there is no namespace {namespace}") from None
        except ApiError as error:
            if error.status == 422:
                raise ApiProblemError("invalid", f"the connection is not valid: {error}") from None
            raise
    raise ApiProblemError("conflict", f"the connection {name} is being changed by other requests; try again")


def _webhook_name(connection: Connection) -> str:
    return str(connection["spec"]["webhookSecretRef"]["name"])


def _auth_name(connection: Connection) -> str:
    return str(connection["spec"]["authSecretRef"]["name"])


def _hosts(body: models.ConnectionRequest) -> list[str]:
    """The hosts that credentials for a connection are sent to: that of the repository, and that of the API."""
    found = [host_of(body.repository)]
    with contextlib.suppress(ForgeAddressError):
        found.append(host_of(repository_of(body.provider, body.repository, body.api_url or "").api))
    return list(dict.fromkeys(found))


async def _require_known_hosts(state: AppState, current: Connection, body: models.ConnectionRequest) -> None:
    """Raises a problem if stored credentials would be for another host: who may not read them could not send them."""
    name = (current["spec"].get("authSecretRef") or {}).get("name")
    if not name:
        return
    try:
        secret = await state.client.get(SECRETS, str(name), namespace=current["metadata"]["namespace"])
    except NotFoundError:
        return
    if unknown := [host for host in _hosts(body) if host not in hosts_of(secret)]:
        detail = f"the stored credentials are not for {', '.join(unknown)}: give them again"
        raise ApiProblemError("conflict", detail)


async def _put_secret(
    state: AppState, connection: Connection, name: str, values: dict[str, str], hosts: Sequence[str] = ()
) -> None:
    """Create or replace a Secret of the connection. Raises a problem for one that is not for connections.

    Args:
        hosts: where its values may be sent.
    """
    metadata = connection["metadata"]
    namespace = metadata["namespace"]
    secret: dict[str, Any] = {
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {labels.FORGE_SECRET: "true", labels.MANAGED_BY: labels.MANAGER},
            "annotations": {labels.HOSTS: ",".join(hosts)} if hosts else {},
            "ownerReferences": [
                {
                    "apiVersion": "c8s.dev/v1alpha1",
                    "kind": "RepositoryConnection",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                }
            ],
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
    for _ in range(ATTEMPTS):
        try:
            await state.client.create(SECRETS, secret, namespace=namespace)
            return
        except AlreadyExistsError:
            pass
        try:
            current = await state.client.get(SECRETS, name, namespace=namespace)
            if not is_for_forges(current):
                detail = f"there is a Secret {name} that is not for connections; choose another name for the connection"
                raise ApiProblemError("not-a-c8s-secret", detail)
            annotations = {**(current["metadata"].get("annotations") or {}), **secret["metadata"]["annotations"]}
            new = {**current, "metadata": {**current["metadata"], "annotations": annotations}, "data": secret["data"]}
            await state.client.update(SECRETS, new)
            return
        except (ConflictError, NotFoundError):
            continue
    raise ApiProblemError("conflict", f"the Secret {name} is being changed by other requests; try again")
