"""Handles deliveries that users bring: through the same receiver as those of forges, or again from the list."""

from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

from controller.api.http.problems import ApiProblemError
from controller.api.state import AppState
from controller.kube import PIPELINE_CONFIGS, NotFoundError
from controller.provenance import DeliveryProofs, derive_webhook_key
from controller.webhooks.connection import Connection
from controller.webhooks.event import PayloadError
from controller.webhooks.history import DeliveryHistory
from controller.webhooks.providers import PROVIDERS
from controller.webhooks.receiver import Receiver, Request, describe_delivery
from controller.webhooks.run_creator import RunCreator
from controller.webhooks.runs import DeliveryKey
from controller.webhooks.secrets import SecretCache
from controller.webhooks.stored_event import from_stored

JsonObject = Mapping[str, Any]


class _Objects:
    """Objects that were read for one request, as the receiver looks them up."""

    def __init__(self, objects: Iterable[JsonObject]) -> None:
        self._objects = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in objects}

    def get(self, namespace: str, name: str) -> JsonObject | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str | None = None) -> Iterable[JsonObject]:
        return self._objects.values()


async def deliver(state: AppState, obj: JsonObject, headers: Mapping[str, str], body: str) -> dict[str, Any]:
    """Handle a payload as if the forge had sent it: it is signed, and then received.

    Raises a problem if the connection has no secret, or for headers that no forge sends.
    """
    connection = Connection.of(obj)
    secrets = SecretCache(state.client, lambda: state.wall_clock())
    secret = await secrets.get(connection)
    if secret.problem:
        raise ApiProblemError("conflict", f"the connection can't verify anything: {secret.problem}")
    provider = PROVIDERS[connection.provider]
    try:
        data = body.encode()
    except UnicodeEncodeError:
        raise ApiProblemError("invalid", "the body is not valid Unicode") from None
    given = {name.lower(): value for name, value in headers.items()}
    given = {"content-type": "application/json", **given}
    # A file has no signature any more, or one with another secret; and forges would not send it twice under one id.
    given = {name: value for name, value in given.items() if "signature" not in name and name != "x-gitlab-token"}
    given |= {**provider.sign(secret.values[0], data, state.wall_clock()), provider.id_header: token_hex(8)}
    creator, history = await _parts(state, obj)
    receiver = Receiver(_Objects([obj]), secrets, creator, history, state.utc_now)
    target = (connection.namespace, connection.name)
    answer = await receiver.receive(Request(provider.path, given, data, target))
    await history.flush()
    if "outcome" not in answer.document:
        raise ApiProblemError("unavailable", str(answer.document.get("error")), headers={"Retry-After": "2"})
    return dict(answer.document)


async def replay(state: AppState, obj: JsonObject, delivery: str, user: str) -> dict[str, Any]:
    """Handle a delivery of the connection's list again. Raises a problem if it is not there, or has no event."""
    listed = next((each for each in (obj.get("status") or {}).get("deliveries") or () if each["id"] == delivery), None)
    if listed is None:
        raise ApiProblemError("not-found", f"the connection's list has no delivery {delivery}")
    try:
        events = [from_stored(each) for each in listed.get("events") or ()]
    except (PayloadError, KeyError, TypeError, ValueError):
        events = []
    if not events:
        reason = listed.get("reason") or "it was about no push, tag or pull request"
        raise ApiProblemError("conflict", f"delivery {delivery} can't be handled again: {reason}")
    connection, (creator, history) = Connection.of(obj), await _parts(state, obj)
    receiver = Receiver(_Objects([obj]), SecretCache(state.client, state.wall_clock), creator, history, state.utc_now)
    outcome = await receiver.start(connection, DeliveryKey(delivery, token_hex(8)), events)
    record = describe_delivery(delivery, str(listed.get("event") or ""), outcome, events, state.utc_now())
    history.record(connection, {**record, "replayed": user})
    await history.flush()
    return {"outcome": outcome.word, "runs": list(outcome.runs), "reason": outcome.reason or None}


async def _parts(state: AppState, obj: JsonObject) -> tuple[RunCreator, DeliveryHistory]:
    connection = Connection.of(obj)
    configs = []
    for name in connection.pipelines:
        try:
            configs.append(await state.client.get(PIPELINE_CONFIGS, name, namespace=connection.namespace))
        except NotFoundError:
            continue
    known_url = str((obj.get("status") or {}).get("webhookUrl") or "")
    history = DeliveryHistory(state.client, state.utc_now, lambda _: known_url)
    proofs = DeliveryProofs(derive_webhook_key(state.creator_proofs.key), state.wall_clock)
    return RunCreator(state.client, _Objects(configs), proofs), history
