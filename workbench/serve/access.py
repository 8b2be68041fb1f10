"""Who may use the server: one-use tickets in links, and the sessions of browsers that came in with one.

Both are kept in memory as digests: what is read from this process or compared byte by byte is of no use.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

TICKET_SECONDS = 600.0
"""How long a link can be used, once: it has to be sent to a person."""
SESSION_SECONDS = 8 * 3600.0
MAX_BROWSERS = 100
_MAX_TICKETS = 1000


class TicketError(Exception):
    """A ticket is not accepted; the message says why and what to do."""


@dataclass(frozen=True)
class Browser:
    """A browser that came in with a ticket. `expires` is in seconds of the clock that was given."""

    id: str
    read_only: bool
    expires: float


@dataclass(frozen=True)
class _Ticket:
    read_only: bool
    expires: float
    used: bool = False


class Access:
    """Issues and redeems tickets, and knows the browsers. `now` is in seconds, monotonic."""

    def __init__(
        self, now: Callable[[], float], new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    ) -> None:
        self._now = now
        self._new_secret = new_secret
        self._tickets: dict[str, _Ticket] = {}
        self._browsers: dict[str, Browser] = {}

    def issue_ticket(self, *, read_only: bool) -> str:
        """A ticket for one browser."""
        if len(self._tickets) >= _MAX_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        ticket = self._new_secret()
        self._tickets[_digest(ticket)] = _Ticket(read_only, self._now() + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> str:
        """Use a ticket up; the secret of the new session, for the browser's cookie. Raises TicketError."""
        key = _digest(ticket)
        found = self._tickets.get(key)
        if found is None:
            raise TicketError("This link is not valid.")
        if found.used:
            raise TicketError("This link has been used: each works once. If that was not you, stop c8s serve.")
        if found.expires <= self._now():
            raise TicketError("This link has expired.")
        self._forget_expired()
        if len(self._browsers) >= MAX_BROWSERS:
            raise TicketError(f"{MAX_BROWSERS} browsers are signed in already.")
        self._tickets[key] = _Ticket(found.read_only, found.expires, used=True)
        secret = self._new_secret()
        id = _digest(secret)
        self._browsers[id] = Browser(id, found.read_only, self._now() + SESSION_SECONDS)
        return secret

    def browser(self, secret: str) -> Browser | None:
        """The browser with this secret; None if there is none or its session has expired."""
        found = self._browsers.get(_digest(secret))
        return found if found is not None and found.expires > self._now() else None

    def _forget_expired(self) -> None:
        now = self._now()
        self._browsers = {key: each for key, each in self._browsers.items() if each.expires > now}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
