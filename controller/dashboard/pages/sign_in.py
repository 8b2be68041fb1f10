"""Signing in and out: by a one-use ticket, which `c8s open` brings, or by a token in a form."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from controller.api.auth.authenticator import InvalidTokenError
from controller.api.http.problems import ApiProblemError
from controller.api.state import get_state
from controller.dashboard import rendering
from controller.dashboard.page_route import PUBLIC, SIGNED_IN, PageRoute, current_session
from controller.dashboard.session import (
    MAX_TOKEN_BYTES,
    ROOT,
    ProxiedSession,
    Session,
    Sessions,
    clear_cookie,
    is_loopback,
    set_cookie,
)

ENTRY_PATH = f"{ROOT}/enter"
"""The path that tickets for the dashboard are for."""
HOME = f"{ROOT}/"
_PAGE = re.compile(r"/ui/[-\w./%?&=:+~<>!*,@#]*")
_CHANGES_DOT_SEGMENTS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)

router = APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)


@router.get("/enter", operation_id=PUBLIC)
async def enter(
    request: Request,
    ticket: Annotated[str, Query(max_length=200)] = "",
    to: Annotated[str, Query(max_length=2000)] = HOME,
) -> Response:
    """Redeems a ticket and goes on to a page.

    By a page of its own, not by a redirect: a browser that was led here from another site would send the new cookie
    only with what this page asks for.
    """
    if isinstance(current_session(request), ProxiedSession):
        return RedirectResponse(own_page(to), 303)
    try:
        grant = get_state(request).tickets.redeem(ticket, ENTRY_PATH)
        session = await _signed_in(request, grant.token)
    except InvalidTokenError as error:
        if current_session(request) is not None:
            return RedirectResponse(own_page(to), 303)
        return _form(request, own_page(to), f"{error}; `c8s open` makes a new one", 401)
    except ApiProblemError as error:
        return _form(request, own_page(to), error.detail, error.kind.status)
    response = rendering.render(request, "entered.html", to=own_page(to))
    set_cookie(request, response, _sessions(request).seal(session))
    return response


@router.get("/sign-in", operation_id=PUBLIC)
async def sign_in_form(request: Request, to: Annotated[str, Query(max_length=2000)] = HOME) -> Response:
    """The form to sign in with a token; whom a proxy has signed in is led on."""
    if isinstance(current_session(request), ProxiedSession):
        return RedirectResponse(own_page(to), 303)
    return _form(request, own_page(to))


@router.post("/sign-in", operation_id=PUBLIC)
async def sign_in(request: Request) -> Response:
    """Signs in with the token of the form."""
    to = own_page(request.state.form.get("to", HOME))
    token = "".join(request.state.form.get("token", "").split())
    try:
        session = await _signed_in(request, token)
    except InvalidTokenError:
        return _form(request, to, "Kubernetes does not know this token, or it has expired.", 401)
    except ApiProblemError as error:
        return _form(request, to, error.detail, error.kind.status)
    response = RedirectResponse(to, 303)
    set_cookie(request, response, _sessions(request).seal(session))
    return response


@router.post("/sign-out", operation_id=SIGNED_IN)
async def sign_out(request: Request) -> Response:
    """Ends the session, also for copies of its cookie; that of a proxy only ends there."""
    if isinstance(request.state.session, ProxiedSession):
        sign_out = request.app.state.dashboard.proxy.settings.sign_out
        return RedirectResponse(sign_out or HOME, 303)
    _sessions(request).end(request.state.session)
    response = RedirectResponse(f"{ROOT}/sign-in", 303)
    clear_cookie(request, response)
    return response


def own_page(to: str) -> str:
    """A page of the dashboard; its first one for any other address."""
    safe = _PAGE.fullmatch(to) is not None and not _CHANGES_DOT_SEGMENTS.search(to.partition("?")[0])
    return to if safe else HOME


async def _signed_in(request: Request, token: str) -> Session:
    """A session for the token's user. Raises InvalidTokenError, and a problem for one that no cookie can hold."""
    await get_state(request).authenticator.authenticate(token)
    if len(token.encode()) > MAX_TOKEN_BYTES:
        detail = f"the token has more than {MAX_TOKEN_BYTES} bytes, so that no browser would keep it in a cookie"
        raise ApiProblemError("invalid", detail)
    return _sessions(request).open(token)


def _sessions(request: Request) -> Sessions:
    found: Sessions = request.app.state.dashboard.sessions
    return found


def _form(request: Request, to: str, problem: str = "", status: int = 200) -> Response:
    return rendering.render(request, "sign_in.html", status, to=to, problem=problem, loopback=is_loopback(request))
