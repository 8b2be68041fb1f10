"""Handles deliveries: verifies, parses, decides and creates the runs. The answer comes once the runs exist."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from controller.kube import KubeError
from controller.webhooks.connection import Connection
from controller.webhooks.event import Ignored, Parsed, PayloadError, RepositoryEvent
from controller.webhooks.payload import parse_body
from controller.webhooks.providers import PATHS, PROVIDERS, Provider, fits
from controller.webhooks.run_creator import Outcome, RunCreator
from controller.webhooks.runs import DeliveryKey
from controller.webhooks.secrets import MIN_SECONDS, SECONDS, SecretCache
from controller.webhooks.signature import Headers
from controller.webhooks.stored_event import to_stored

if TYPE_CHECKING:
    from controller.run_types.connections import Delivery
    from controller.webhooks.history import DeliveryHistory

MAX_CONNECTIONS = 200
"""Connections that one delivery to the URL of a whole provider is compared with; more need URLs of their own."""
MAX_AGE = timedelta(days=3)
"""How old an event may be, where its payload says when it happened: GitHub redelivers for as long."""
_THREAD_BYTES = 256 * 1024
_MAX_ID = 200
_log = logging.getLogger("c8s.webhooks")


class ConnectionSource(Protocol):
    """The known RepositoryConnections."""

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...
    def list(self, namespace: str | None = None) -> Iterable[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Request:
    """A delivery as it came in.

    Attributes:
        provider: the provider in the URL.
        target: namespace and name of the connection in the URL, if it names one.
    """

    provider: str
    headers: Headers
    body: bytes
    target: tuple[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to the forge: an HTTP status, and a document that people read in the forge's list of deliveries."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_unverified(self) -> bool:
        """Whether the sender did not show that it knows a secret."""
        return self.status == 401


_UNVERIFIED = Answer(401, {"error": "the delivery is not signed with the secret of a connection for it"})
"""The same for a connection that does not exist, one without a secret, and a wrong signature."""


class Receiver:
    """Handles deliveries for the connections of a cluster. It holds no state that others could not have too.

    Args:
        now: the wall clock, for staleness and signed times.
    """

    def __init__(
        self,
        connections: ConnectionSource,
        secrets: SecretCache,
        creator: RunCreator,
        history: DeliveryHistory,
        now: Callable[[], datetime],
    ) -> None:
        self._connections = connections
        self._secrets = secrets
        self._creator = creator
        self._history = history
        self._now = now
        self.counts: Counter[tuple[str, str]] = Counter()
        """Deliveries by provider and outcome."""

    async def receive(self, request: Request) -> Answer:
        """Handle a delivery. Never raises for what is in it."""
        answer = await self._receive(request)
        outcome = str(answer.document.get("outcome") or ("unverified" if answer.is_unverified else "failed"))
        self.counts[request.provider if request.provider in PATHS else "other", outcome.lower()] += 1
        return answer

    async def _receive(self, request: Request) -> Answer:
        try:
            verified = await self._verified(request)
        except KubeError as error:
            _log.warning("a delivery could not be verified: %s", error)
            return _unavailable()
        if not verified:
            return _UNVERIFIED
        provider = PROVIDERS[verified[0].provider]
        identifier = delivery_id(provider, request)
        try:
            parsed = await self._parse(provider, request)
        except PayloadError as error:
            for connection in verified if request.target is not None else ():
                self._record(connection, provider, request, identifier, Outcome("Refused", reason=str(error)), ())
            return Answer(400, {"outcome": "Refused", "reason": str(error)})
        return await self._handle(provider, request, identifier, parsed, verified)

    async def _handle(
        self,
        provider: Provider,
        request: Request,
        identifier: str,
        parsed: Sequence[Parsed],
        verified: Sequence[Connection],
    ) -> Answer:
        is_ping = isinstance(parsed[0], Ignored) and parsed[0].is_ping
        concerned = [each for each in verified if is_ping or each.is_about(parsed[0].urls)]
        if not concerned:
            reason = f"it is about {parsed[0].repository or 'no repository'}, and no connection that has its secret is"
            for connection in verified if request.target is not None else ():
                self._record(connection, provider, request, identifier, Outcome("Ignored", reason=reason), parsed)
            return Answer(200, {"outcome": "Ignored", "reason": reason})
        outcomes = []
        try:
            for connection in concerned:
                outcome = await self.start(connection, DeliveryKey(identifier), parsed)
                self._record(connection, provider, request, identifier, outcome, parsed)
                outcomes.append(outcome)
        except KubeError as error:
            # The forge, or its user, delivers again: runs that exist by now are found then.
            _log.warning("the runs of delivery %r could not be created: %s", identifier, error)
            return _unavailable()
        return _answer(outcomes)

    async def start(self, connection: Connection, key: DeliveryKey, parsed: Sequence[Parsed]) -> Outcome:
        """Create the runs of the events of a delivery for one connection. Raises KubeError: try again."""
        reasons: list[str] = []
        runs: list[str] = []
        for index, event in enumerate(parsed):
            if isinstance(event, Ignored):
                reasons.append(event.reason)
                continue
            if reason := self._stale_reason(event):
                return Outcome("Refused", reason=reason)
            found = await self._creator.create(connection, key, index, event)
            runs += found.runs
            reasons += [found.reason] if found.reason else []
        return Outcome("Started" if runs else "Ignored", tuple(runs), "; ".join(reasons)[:1000])

    def _stale_reason(self, event: RepositoryEvent) -> str:
        if event.occurred is None or self._now() - event.occurred <= MAX_AGE:
            return ""
        age = (self._now() - event.occurred).days
        return f"it is about something that happened {age} days ago; only the last {MAX_AGE.days} days count"

    # -- verification

    async def _verified(self, request: Request) -> list[Connection]:
        """The connections that the delivery may be for, and whose secret it is signed with. Raises KubeError."""
        return [each for each in self._candidates(request) if await self._is_signed(each, request)]

    def _candidates(self, request: Request) -> list[Connection]:
        if request.target is not None:
            obj = self._connections.get(*request.target)
            objects: Iterable[Mapping[str, Any]] = () if obj is None else (obj,)
        else:
            objects = self._connections.list()
        found = [
            connection
            for connection in map(Connection.of, objects)
            if fits(PROVIDERS[connection.provider], request.provider, request.headers)
        ]
        return sorted(found, key=lambda each: (each.namespace, each.name))[:MAX_CONNECTIONS]

    async def _is_signed(self, connection: Connection, request: Request) -> bool:
        # The second time, in case the secret was renewed since it was read.
        for max_age in (SECONDS, MIN_SECONDS):
            secret = await self._secrets.get(connection, max_age=max_age)
            if await self._verify(connection, request, secret.values):
                return True
        return False

    async def _verify(self, connection: Connection, request: Request, secrets: Sequence[bytes]) -> bool:
        verify, now = PROVIDERS[connection.provider].verify, self._now().timestamp()
        if len(request.body) <= _THREAD_BYTES:
            return verify(request.headers, request.body, secrets, now)
        return await asyncio.to_thread(verify, request.headers, request.body, secrets, now)

    async def _parse(self, provider: Provider, request: Request) -> Sequence[Parsed]:
        content_type = request.headers.get("content-type", "")
        if len(request.body) <= _THREAD_BYTES:
            return provider.parse(request.headers, parse_body(request.body, content_type))
        payload = await asyncio.to_thread(parse_body, request.body, content_type)
        return await asyncio.to_thread(provider.parse, request.headers, payload)

    # -- records

    def _record(
        self,
        connection: Connection,
        provider: Provider,
        request: Request,
        identifier: str,
        outcome: Outcome,
        parsed: Sequence[Parsed],
    ) -> None:
        event = _shown(provider.event_name(request.headers)) or "unknown"
        self._history.record(connection, describe_delivery(identifier, event, outcome, parsed, self._now()))


def describe_delivery(
    identifier: str, event: str, outcome: Outcome, parsed: Sequence[Parsed], now: datetime
) -> Delivery:
    """A delivery as the status of a connection lists it."""
    events = [each for each in parsed if isinstance(each, RepositoryEvent)]
    delivery: Delivery = {
        "id": _shown(identifier),
        "time": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event": event,
        "outcome": outcome.word,
    }
    if events:
        delivery["about"] = ", ".join(each.describe() for each in events)[:_MAX_ID]
        delivery["commit"] = events[0].commit
        delivery["sender"] = events[0].sender
        delivery["events"] = [to_stored(each) for each in events]
    if outcome.reason:
        delivery["reason"] = outcome.reason
    if outcome.runs:
        delivery["runs"] = list(outcome.runs)
    return delivery


def delivery_id(provider: Provider, request: Request) -> str:
    """The forge's id of the delivery; without one a digest of the body, which is the same when it comes again."""
    return provider.delivery_id(request.headers) or sha256(request.body).hexdigest()


def _answer(outcomes: Sequence[Outcome]) -> Answer:
    runs = [run for outcome in outcomes for run in outcome.runs]
    reason = "; ".join(outcome.reason for outcome in outcomes if outcome.reason)
    if runs:
        return Answer(202, {"outcome": "Started", "runs": runs} | ({"reason": reason} if reason else {}))
    word = "Refused" if any(outcome.word == "Refused" for outcome in outcomes) else "Ignored"
    return Answer(400 if word == "Refused" else 200, {"outcome": word, "reason": reason})


def _unavailable() -> Answer:
    return Answer(503, {"error": "the cluster does not answer; deliver it again"}, {"retry-after": "5"})


def _shown(text: str) -> str:
    """A header's text, fit to be stored and shown."""
    return "".join(each if each.isprintable() else "?" for each in text)[:_MAX_ID]
