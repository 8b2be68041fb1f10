"""Authenticates tokens (TokenReview) and authorizes users (SubjectAccessReview) by asking Kubernetes.

Answers are cached for seconds, so that a client with ten requests a second costs Kubernetes little, and a revoked
permission is gone as quickly. Tokens are cached by their digest only. Also here: one-use tickets for WebSockets,
because pages can't set headers on them.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

ALLOWED_TTL = 10.0
DENIED_TTL = 2.0
CACHE_SIZE = 4096
TICKET_TTL = 30
MAX_TICKETS = 10_000
MAX_TOKEN_LENGTH = 16 * 1024

_CORE_RESOURCES = frozenset({"secrets"})
"""Resources of c8s.dev that the core group has too, under the same name."""

Value = TypeVar("Value")


class ReviewClient(Protocol):
    """Creates a review object in Kubernetes and returns its status."""

    def __call__(self, review: Mapping[str, Any], /) -> Awaitable[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class User:
    """The user of a token, as Kubernetes reports them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class AccessRequest:
    """What a call would do, in Kubernetes' terms: a verb on a resource in a namespace, or on a URL path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def describe(self) -> str:
        """The request in words, for an error message."""
        if self.path:
            return f"{self.verb} {self.path}"
        what = resource_name(self.resource, self.subresource, self.group)
        return f"{self.verb} {what} in the namespace {self.namespace}"

    def attributes(self) -> dict[str, Any]:
        """The request as a SubjectAccessReview carries it."""
        if self.path:
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.path}}
        named = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {"resourceAttributes": {key: value for key, value in named.items() if value}}


def resource_name(resource: str, subresource: str, group: str) -> str:
    """The resource as `kubectl auth can-i` reads it, with its group where the core group has one of that name."""
    qualified = f"{resource}.{group}" if group and resource in _CORE_RESOURCES else resource
    return f"{qualified}/{subresource}" if subresource else qualified


class InvalidTokenError(Exception):
    """The token is unknown to Kubernetes."""


class _TtlCache(Generic[Value]):
    """A cache whose entries expire, with a limited number of them."""

    def __init__(self, now: Callable[[], float], size: int) -> None:
        self._now = now
        self._size = size
        self._kept: OrderedDict[Any, tuple[float, Value]] = OrderedDict()

    def get(self, key: Any) -> Value | None:
        kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] > self._now() else None

    def put(self, key: Any, value: Value, seconds: float) -> None:
        self._kept[key] = (self._now() + seconds, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def pop(self, key: Any) -> Value | None:
        until, value = self._kept.pop(key, (0.0, None))
        return value if until > self._now() else None


class Authenticator:
    """Authenticates and authorizes; `review` asks Kubernetes, `now` is a monotonic clock in seconds."""

    def __init__(self, review: ReviewClient, now: Callable[[], float]) -> None:
        self._review = review
        self._users: _TtlCache[User | InvalidTokenError] = _TtlCache(now, CACHE_SIZE)
        self._decisions: _TtlCache[bool] = _TtlCache(now, CACHE_SIZE)

    async def authenticate(self, token: str) -> User:
        """The token's user. Raises InvalidTokenError; errors of reaching Kubernetes are raised as they are."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._users.get(key)
        if known is None:
            known = await self._review_token(token)
            self._users.put(key, known, ALLOWED_TTL if isinstance(known, User) else DENIED_TTL)
        if isinstance(known, User):
            return known
        raise InvalidTokenError("the token is invalid or has expired")

    async def is_allowed(self, user: User, access: AccessRequest) -> bool:
        """Whether the user has this permission."""
        key = (user, access)
        known = self._decisions.get(key)
        if known is None:
            known = await self._review_access(user, access)
            self._decisions.put(key, known, ALLOWED_TTL if known else DENIED_TTL)
        return known

    async def _review_token(self, token: str) -> User | InvalidTokenError:
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
            return InvalidTokenError("no token looks like this")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = await self._review(review)
        found = status.get("user") or {}
        if status.get("authenticated") is not True or not found.get("username"):
            return InvalidTokenError("the token is unknown to Kubernetes")
        extra = found.get("extra") or {}
        return User(
            name=str(found["username"]),
            uid=str(found.get("uid") or ""),
            groups=tuple(found.get("groups") or ()),
            extra=tuple(sorted((key, tuple(values)) for key, values in extra.items())),
        )

    async def _review_access(self, user: User, question: AccessRequest) -> bool:
        spec: dict[str, Any] = {"user": user.name, "groups": list(user.groups), **question.attributes()}
        if user.uid:
            spec["uid"] = user.uid
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        status = await self._review(review)
        return status.get("allowed") is True and status.get("denied") is not True


@dataclass(frozen=True)
class TicketGrant:
    """What a ticket grants: its user, the token it was issued for, and the one path that it opens."""

    user: User
    token: str = field(repr=False)
    path: str = ""


class Tickets:
    """One-use tickets: each opens one WebSocket for its user, within `TICKET_TTL` seconds.

    They are held in memory: the WebSocket must be opened at the process that issued the ticket.
    """

    def __init__(self, now: Callable[[], float], new_secret: Callable[[], str] = secrets.token_urlsafe) -> None:
        self._new_secret = new_secret
        self._issued: _TtlCache[TicketGrant] = _TtlCache(now, MAX_TICKETS)

    def issue(self, admission: TicketGrant) -> str:
        """Issues a ticket."""
        ticket = self._new_secret()
        self._issued.put(ticket, admission, TICKET_TTL)
        return ticket

    def redeem(self, ticket: str, path: str) -> TicketGrant:
        """Redeems a ticket; it is spent, also by the wrong path. Raises InvalidTokenError."""
        admission = self._issued.pop(ticket)
        if admission is None:
            raise InvalidTokenError("the ticket is invalid: it was used, or is older than 30 s")
        if admission.path != path:
            raise InvalidTokenError("the ticket is for another path")
        return admission
