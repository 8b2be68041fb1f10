"""Sessions of browsers: a user's token in an encrypted cookie, so that a restarted API knows them and keeps no list.

The token is reviewed by Kubernetes with each request like any other, so that revoking it ends the session within
seconds. Only a session that was ended by its user is remembered here, until it would have expired. Whom a proxy has
signed in has no cookie of ours: the proxy says with each request who it is, and ends the session.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.responses import Response

from controller.api.auth.authenticator import User
from controller.api.http.middleware import LOOPBACK_NAMES, host_name
from controller.signing import derive_key, is_same, sign

SESSION_SECONDS = 8 * 3600
PROXIED_STREAM_SECONDS = 600
"""After this, the stream of someone whom a proxy has signed in ends: to open it again, the browser asks the proxy."""
FORM_SECONDS = 12 * 3600
"""How long forms of someone whom a proxy has signed in can be sent at least; at most twice as long."""
MAX_TOKEN_BYTES = 2_700
"""The longest token whose cookie browsers keep: they drop cookies over 4,096 bytes."""
ROOT = "/ui"
_SEALING, _CSRF = "c8s dashboard session v1", "c8s dashboard form v1"
_NONCE_BYTES = 12
_MAX_ENDED = 10_000


@dataclass(frozen=True)
class Session:
    """A signed-in browser. `expires` is in seconds since 1970."""

    id: str
    token: str = field(repr=False)
    expires: float

    @property
    def credential(self) -> str | User:
        """What `authorize` takes."""
        return self.token

    @property
    def form_ids(self) -> tuple[str, ...]:
        """What the secrets of its forms are made from: of a new form, then of older ones that are still taken."""
        return (self.id,)


@dataclass(frozen=True)
class ProxiedSession:
    """A browser whose user a proxy has signed in. `expires` is for streams; `opened` is when this request came."""

    user: User
    opened: float

    @property
    def credential(self) -> str | User:
        """What `authorize` takes."""
        return self.user

    @property
    def expires(self) -> float:
        return self.opened + PROXIED_STREAM_SECONDS

    @property
    def form_ids(self) -> tuple[str, ...]:
        """As of `Session`. No id of one has a blank."""
        number = int(self.opened // FORM_SECONDS)
        return tuple(f"proxy {each} {self.user.name}" for each in (number, number - 1))


AnySession = Session | ProxiedSession


class Sessions:
    """Opens, seals and ends sessions. `now` is the wall clock in seconds since 1970.

    Args:
        key: the controller's; the keys of cookies and forms are derived from it.
    """

    def __init__(self, key: bytes, now: Callable[[], float], new_id: Callable[[], str] = secrets.token_urlsafe) -> None:
        self._sealing_key = derive_key(key, _SEALING)
        self._form_key = derive_key(key, _CSRF)
        self._now = now
        self._new_id = new_id
        self._ended: dict[str, float] = {}

    def open(self, token: str) -> Session:
        """A new session for this token."""
        return Session(self._new_id(), token, self._now() + SESSION_SECONDS)

    def end(self, session: Session) -> None:
        """Ends the session before its time, also for copies of its cookie; after a restart, its expiry does that."""
        now = self._now()
        self._ended = {key: until for key, until in self._ended.items() if until > now}
        if len(self._ended) >= _MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = session.expires

    def seal(self, session: Session) -> str:
        """The value of the session's cookie."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps([session.id, session.token, session.expires]).encode()
        sealed = nonce + AESGCM(self._sealing_key).encrypt(nonce, text, _SEALING.encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def unseal(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that is not ours, was changed, has expired or was ended."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            sealed = base64.b64decode(cookie.encode("ascii") + b"=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
            text = AESGCM(self._sealing_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _SEALING.encode())
        except (InvalidTag, ValueError, binascii.Error):
            return None
        session = Session(*json.loads(text))
        return session if session.expires > self._now() and session.id not in self._ended else None

    def form_token(self, session: AnySession) -> str:
        """The secret that every form of this session carries: a page of another origin can't know it."""
        return sign(self._form_key, session.form_ids[0])

    def is_form_token(self, session: AnySession, given: str) -> bool:
        """Whether a form came from a page of this session."""
        return any(is_same(sign(self._form_key, each), given) for each in session.form_ids)

    def proxied(self, user: User) -> ProxiedSession:
        """The session of someone whom a proxy has signed in."""
        return ProxiedSession(user, self._now())

    def is_over(self, session: AnySession) -> bool:
        """Whether its time has passed; that of a cookie also ends otherwise."""
        return session.expires <= self._now()


def cookie_name(connection: HTTPConnection) -> str:
    """The name of the session's cookie. It has the port: cookies are shared by all ports of a host name."""
    port = connection.headers.get("host", "").rpartition("]")[2].partition(":")[2]
    return f"c8s-session-{port}" if port.isascii() and port.isdigit() else "c8s-session"


def is_loopback(connection: HTTPConnection) -> bool:
    """Whether the browser reached us by a loopback name, where plain HTTP is safe."""
    return host_name(connection.headers.get("host", "")) in LOOPBACK_NAMES


def set_cookie(connection: HTTPConnection, response: Response, value: str) -> None:
    """Gives the browser the session's cookie."""
    response.set_cookie(
        cookie_name(connection),
        value,
        max_age=SESSION_SECONDS,
        path=ROOT,
        secure=not is_loopback(connection),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(connection: HTTPConnection, response: Response) -> None:
    """Makes the browser forget the session's cookie."""
    response.delete_cookie(
        cookie_name(connection), path=ROOT, secure=not is_loopback(connection), httponly=True, samesite="strict"
    )
