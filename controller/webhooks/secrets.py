"""The secrets that deliveries are signed with, remembered for a short time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from controller import labels
from controller.forge_secrets import is_for_forges
from controller.kube import SECRETS, ForbiddenError, KubeClient, NotFoundError
from controller.webhooks.connection import Connection

SECONDS = 60.0
"""How long a secret is used without asking for it again."""
MIN_SECONDS = 2.0
"""How often it is asked for at most, when a delivery does not verify: it may have been renewed."""
_MAX_KNOWN = 2_000
_HOW = f"it needs the label {labels.FORGE_SECRET}=true, which `c8s connect` sets"


@dataclass(frozen=True)
class WebhookSecret:
    """The values of a Secret, any of which may sign, so that a secret can be renewed without losing deliveries.

    `problem`: why there are none, as a sentence.
    """

    values: tuple[bytes, ...] = ()
    problem: str = ""


@dataclass
class _Known:
    secret: WebhookSecret
    read_at: float


@dataclass
class SecretCache:
    """Reads Secrets of connections. `clock`: seconds on a monotonic clock."""

    client: KubeClient
    clock: Callable[[], float]
    _known: dict[tuple[str, str], _Known] = field(default_factory=dict)

    async def get(self, connection: Connection, *, max_age: float = SECONDS) -> WebhookSecret:
        """The secret of a connection, at most so many seconds old. Raises KubeError."""
        key = (connection.namespace, connection.webhook_secret)
        known = self._known.get(key)
        if known is None or self.clock() - known.read_at >= max_age:
            known = _Known(await self._read(*key), self.clock())
            self._known.pop(key, None)
            self._known[key] = known
            while len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return known.secret

    async def _read(self, namespace: str, name: str) -> WebhookSecret:
        try:
            secret = await self.client.get(SECRETS, name, namespace)
        except NotFoundError:
            return WebhookSecret(problem=f"there is no Secret {name}; create it with `c8s connect`")
        except ForbiddenError:
            # The operator names it in the receiver's Role once it is there and has the label.
            return WebhookSecret(problem=f"the receiver may not read the Secret {name}: {_HOW}")
        if not is_for_forges(secret):
            # Otherwise a user who may create connections could try guesses of any Secret of the namespace.
            return WebhookSecret(problem=f"the Secret {name} is not for connections: {_HOW}")
        values = tuple(_decoded((secret.get("data") or {}).values()))
        return WebhookSecret(values) if values else WebhookSecret(problem=f"the Secret {name} is empty")


def _decoded(values: Iterable[str]) -> Iterable[bytes]:
    for value in values:
        try:
            decoded = base64.b64decode(value, validate=True).strip()
        except (binascii.Error, ValueError):
            continue
        if decoded:
            yield decoded
