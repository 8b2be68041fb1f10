"""The class of every page's route: signs the browser in by its cookie, authorizes it like a caller of the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from controller.api.app import to_problem
from controller.api.auth.authenticator import InvalidTokenError
from controller.api.auth.authorize import authorize
from controller.api.auth.permissions import Permission, permission_for
from controller.api.auth.route import check_query
from controller.api.http import problems
from controller.api.http.problems import ApiProblemError
from controller.dashboard import rendering
from controller.dashboard.session import ROOT, AnySession, clear_cookie, cookie_name
from controller.kube import KubeError
from controller.logs import LogError
from controller.storage import StorageError
from controller.storage.errors import BrokenArchiveError

PUBLIC = "public"
"""The operation of what is shown to anyone: the page to sign in on, and files without data."""
SIGNED_IN = "signedIn"
"""The operation of what every user may do."""
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 64 * 1024
_OWN_PERMISSIONS = {PUBLIC: Permission("public"), SIGNED_IN: Permission("user")}
_EXPECTED = (ApiProblemError, BrokenArchiveError, HTTPException, KubeError, LogError, StorageError)


class PageRoute(APIRoute):
    """A route of a page. Its `operation_id` is that of the call of the REST API whose permission it requires."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the session, the permission, and for forms their secret."""
        permission = _OWN_PERMISSIONS.get(self.operation_id or "") or permission_for(self.operation_id)
        handler = super().get_route_handler()
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            try:
                async with asyncio.timeout(permission.timeout):
                    if permission.kind != "public":
                        session = request.state.session = current_session(request)
                        if session is None:
                            return _ask_to_sign_in(request)
                        await authorize(request, permission, session.credential)
                    if request.method == "POST":
                        request.state.form = await _read_form(request)
                        _check_form(request, permission)
                    check_query(request.query_params, known)
                    return await handler(request)
            except InvalidTokenError:
                return _ask_to_sign_in(request)
            except _EXPECTED as error:
                return problem_page(request, to_problem(error))
            except TimeoutError:
                detail = f"the controller did not finish within {permission.timeout or 0:g} s"
                return problem_page(request, ApiProblemError("timeout", detail))
            except RequestValidationError as error:
                return problem_page(request, problems.problem_for_validation(error.errors()))

        return guarded


def current_session(request: Request) -> AnySession | None:
    """The session of whom a proxy has signed in, or else that of the request's cookie.

    In this order: a cookie may be from whoever used the browser before. Raises a problem for what no proxy sends.
    """
    dashboard = request.app.state.dashboard
    user = dashboard.proxy.user_of(request) if dashboard.proxy is not None else None
    if user is not None:
        proxied: AnySession = dashboard.sessions.proxied(user)
        return proxied
    cookie = request.cookies.get(cookie_name(request))
    found: AnySession | None = dashboard.sessions.unseal(cookie) if cookie else None
    return found


def problem_page(request: Request, problem: ApiProblemError) -> Response:
    """An error as a page; to a script that reads a stream, its status is enough."""
    if _is_stream(request):
        return Response(problem.detail, problem.kind.status, media_type="text/plain")
    details = [str(entry.get("message", "")) for entry in problem.problems]
    return rendering.render(
        request, "problem.html", problem.kind.status, title=problem.kind.title, detail=problem.detail, details=details
    )


def _ask_to_sign_in(request: Request) -> Response:
    """Leads to the page to sign in on, and from there back to a page that was asked for."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"{ROOT}/sign-in" + (f"?to={quote(back, safe='/')}" if request.method == "GET" else "")
    response: Response
    if _is_stream(request):
        response = Response("the session has ended", 401, media_type="text/plain")
    elif request.headers.get("hx-request"):
        response = Response(status_code=200, headers={"HX-Redirect": address})
    else:
        response = RedirectResponse(address, 303)
    clear_cookie(request, response)
    return response


def _is_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


async def _read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form. Raises a problem for another type of body, and for one that no form of ours has."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise ApiProblemError("bad-request", "a form is sent as " + FORM_TYPE)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise ApiProblemError("too-large", f"a form has at most {MAX_FORM_BYTES} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError:
        raise ApiProblemError("bad-request", "the form can't be read: it is no valid Unicode, or too long") from None


def _check_form(request: Request, permission: Permission) -> None:
    """Raises a problem unless the form came from a page of ours: by its secret, or of one without a session, its site.

    The Origin header has been compared before, for every request.
    """
    if permission.kind == "public":
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise ApiProblemError("origin-not-allowed", "the form was sent by another site")
        return
    if not request.app.state.dashboard.sessions.is_form_token(
        request.state.session, request.state.form.get("csrf", "")
    ):
        raise ApiProblemError("forbidden", "the form is not one of this session: load the page again, and repeat it")
