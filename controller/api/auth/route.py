"""The class of every route: it authorizes the caller before the body is read and bounds the handler's time."""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from controller.api.auth.authorize import authorize
from controller.api.auth.permissions import permission_for
from controller.api.http import problems

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class GuardedRoute(APIRoute):
    """A route with an entry in the permission table. Without one it can't be made."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the permission of this operation."""
        permission = permission_for(self.operation_id)
        handler = super().get_route_handler()
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            try:
                async with asyncio.timeout(permission.timeout):
                    await authorize(request, permission)
                    if permission.kind != "public":
                        check_query(request.query_params, known)
                    if self.body_field is not None:
                        check_unicode(await request.body())
                    return await handler(request)
            except TimeoutError:
                detail = f"the controller did not finish within {permission.timeout or 0:g} s"
                raise problems.ApiProblemError("timeout", detail) from None
            except RequestValidationError as error:
                raise problems.problem_for_validation(error.errors()) from None

        return guarded


def check_query(given: Iterable[str], known: Collection[str]) -> None:
    """Raises a problem for an unknown query parameter: a misspelled filter must not return everything."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        accepted = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise problems.ApiProblemError("bad-request", f"this call has no parameter {unknown[0][:100]!r}; {accepted}")


def check_unicode(body: bytes) -> None:
    """Raises a problem for a lone surrogate in JSON: no file, log or response could hold it."""
    if _SURROGATE.search(body) is None:
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise problems.ApiProblemError("invalid", "a text in the body is not valid Unicode") from None
    except (ValueError, RecursionError):
        return  # not JSON at all: the framework reports that
