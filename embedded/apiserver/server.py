"""The HTTP server: one handler that reads the path, asks who and whether, and calls the registry.

There is no router: the resources change while the server runs, and a look at
the path is all it takes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from embedded.api.interfaces import KubeletApi, LogOptions
from embedded.api.scheme import ObjectRef
from embedded.api.status_errors import ApiError, bad_request, method_not_allowed, unknown_resource
from embedded.apiserver import filters, negotiation, query_options, request_info, responses, timeouts
from embedded.apiserver.codec import decode
from embedded.apiserver.handlers import discovery, exec
from embedded.apiserver.handlers import list as listing
from embedded.apiserver.handlers import watch as watching
from embedded.apiserver.handlers.write import WriteHandlers
from embedded.apiserver.request import ApiRequest
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.auth.escalation import EscalationGuard
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.reviews import REVIEWS, answer_review
from embedded.auth.tokens import DEFAULT_AUDIENCE, Authenticator, User
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StorageError

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_VERB_BY_METHOD = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = ("create", "list", "deletecollection")
_CHUNK_BYTES = 1 << 18


class Server:
    """Answers requests from the registry."""

    def __init__(
        self, registry: Registry, authenticator: Authenticator, authorizer: Authorizer, pods: KubeletApi
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._pods = pods
        self._closing = asyncio.Event()
        self._write_handlers = writing = WriteHandlers(
            registry, EscalationGuard(registry, authorizer), WebhookAdmission(registry)
        )
        self._methods: dict[str, Callable[[ApiRequest], Awaitable[web.StreamResponse]]] = {
            "get": self._get_object,
            "list": self._list_objects,
            "watch": self._watch,
            "create": writing.create,
            "update": writing.update,
            "patch": writing.patch,
            "delete": writing.delete,
            "deletecollection": writing.delete_collection,
        }

    def create_runner(self) -> web.ServerRunner:
        """To be started on a socket by whoever composes the process."""
        server = timeouts.TimeoutServer(
            self.handle, request_factory=_make_request, access_log=None, handler_cancellation=True, tcp_keepalive=True
        )
        return web.ServerRunner(server, shutdown_timeout=1.0)

    def close(self) -> None:
        """End the watches, so that the server can stop."""
        self._closing.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return negotiation.encode_response(request, await self._dispatch(request))
        except ApiError as error:
            return negotiation.encode_response(request, responses.error_response(error))
        except web.HTTPRequestEntityTooLarge:
            limit = f"Request entity too large: limit is {filters.MAX_BODY_BYTES}"
            return responses.error_response(ApiError(413, "RequestEntityTooLarge", limit, {}))
        except StorageError as error:
            _log.error("storage failed: %s", error)
            return responses.error_response(ApiError(500, "InternalError", str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            # The boundary: a fault in one request must not end the server, and its cause belongs in the log.
            _log.exception("request failed: %s %s", request.method, request.path)
            return responses.error_response(
                ApiError(500, "InternalError", "an internal error; the cluster's log has the cause")
            )

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        filters.check_origin(request.headers)
        user = filters.authenticate(request.headers, self._authenticator)
        user = filters.impersonate(request.headers, user, self._authorizer)
        target = request_info.parse(request.path, self._registry.scheme)
        if target is None:
            return self._serve_non_resource(request, user)
        verb = _request_verb(request, target)
        resource = target.resource
        self._authorize(user, verb, target)
        if resource in REVIEWS:
            if verb != "create":
                raise method_not_allowed()
            review = decode.read_object(await timeouts.read_body(request), request.content_type, resource.kind)
            return responses.json_response(
                201,
                answer_review(resource, review, target.namespace or "", user, self._authenticator, self._authorizer),
            )
        call = ApiRequest(request, target, user)
        if target.subresource not in ("log", *exec.SUBRESOURCES):
            negotiation.negotiate(call.accept)
        if target.subresource == "log" and verb == "get":
            return await self._pod_log(call)
        if target.subresource in exec.SUBRESOURCES:
            # A WebSocket begins as a GET, and yet whoever opens it must be allowed to create.
            self._authorize(user, "create", target)
            where = (target.namespace or "", target.name, target.subresource)
            return await exec.handle_stream(request, *where, self._pods, self._closing)
        if target.subresource == "token":
            return await self._token(call, verb)
        if target.subresource == "eviction":
            return await self._write_handlers.evict(call)
        return await self._methods[verb](call)

    def _serve_non_resource(self, request: web.BaseRequest, user: User) -> web.Response:
        """Discovery and health, or nothing."""
        found = discovery.find_document(request.path, self._registry.scheme, request.headers.get("Accept", ""))
        if found is not None:
            if request.method not in ("GET", "HEAD"):
                raise method_not_allowed()
            if not self._authorizer.allows(user, AccessRequest("get", path=request.path)):
                raise ApiError(403, "Forbidden", f'User "{user.name}" cannot get path "{request.path}"', {})
            if isinstance(found, discovery.AggregatedDiscovery):
                return web.Response(body=found.body, headers={"Content-Type": found.media_type})
            return web.Response(text=found) if isinstance(found, str) else responses.json_response(200, found)
        group = request.path.strip("/").split("/")
        known = self._registry.scheme.group_versions()
        if group[0] == "api" or (group[0] == "apis" and len(group) > 2 and group[2] in known.get(group[1], [])):
            raise unknown_resource()
        return web.Response(status=404, text="404 page not found\n")

    def _authorize(self, user: User, verb: str, target: request_info.RequestInfo) -> None:
        resource = target.resource
        wanted = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
        # A namespace's own rules are those of the namespace.
        namespace = target.namespace or ""
        asked = AccessRequest(verb, resource.group, wanted, namespace, target.name)
        if not self._authorizer.allows(user, asked):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            about = f'{resource.key} "{target.name}" is forbidden' if target.name else f"{resource.key} is forbidden"
            message = (
                f'{about}: User "{user.name}" cannot {verb} resource "{wanted}" in API group "{resource.group}"{where}'
            )
            details: Json = {"kind": resource.plural}
            if target.name:
                details["name"] = target.name
            if resource.group:
                details["group"] = resource.group
            raise ApiError(403, "Forbidden", message, details)

    # -- verbs

    async def _get_object(self, call: ApiRequest) -> web.StreamResponse:
        t, form = call.info, negotiation.negotiate(call.accept)
        raw = self._registry.get_bytes(ObjectRef(t.resource, t.namespace, t.name))
        if form.shape == "object":
            return responses.raw_json_response(200, raw)
        return responses.json_response(200, call.render(json.loads(raw), self._registry.clock()))

    async def _list_objects(self, call: ApiRequest) -> web.StreamResponse:
        t = call.info
        chunks = listing.list_chunks(self._registry, t.resource, t.namespace, call.query, call.accept)
        length = sum(map(len, chunks))
        if length <= _CHUNK_BYTES or negotiation.negotiate(call.accept).yaml:
            return responses.raw_json_response(200, b"".join(chunks))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = length
        await response.prepare(call.http)
        for piece in listing.join_chunks(chunks, _CHUNK_BYTES):
            async with timeouts.write_timeout(call.http):
                await response.write(piece)
        await response.write_eof()
        return response

    async def _watch(self, call: ApiRequest) -> web.StreamResponse:
        t = call.info
        watch = watching.parse_watch(self._registry, t.resource, t.namespace, call.query, call.accept, t.name)
        return await self._stream(call.http, watch.lines(), "application/json")

    # -- subresources

    async def _token(self, call: ApiRequest, verb: str) -> web.StreamResponse:
        if verb != "create":
            raise method_not_allowed()
        request, t = call.http, call.info
        wish = (
            decode.read_object(await timeouts.read_body(request), request.content_type, "TokenRequest").get("spec")
            or {}
        )
        seconds, audiences = wish.get("expirationSeconds", 3600), wish.get("audiences") or [DEFAULT_AUDIENCE]
        if type(seconds) is not int or not isinstance(audiences, list):
            raise bad_request("a TokenRequest's expirationSeconds is a whole number and its audiences a list")
        return responses.json_response(
            201, self._authenticator.issue_token(t.namespace or "", t.name, seconds, audiences)
        )

    async def _pod_log(self, call: ApiRequest) -> web.StreamResponse:
        t = call.info
        chunks = self._pods.read_log(t.namespace or "", t.name, _log_options(call.query, self._registry.clock()))
        try:
            first = await anext(chunks, b"")
        except ApiError as error:
            if error.code == 404:
                raise
            return responses.error_response(error)
        return await self._stream(call.http, chunks, "text/plain", first)

    async def _stream(
        self, request: web.BaseRequest, chunks: Any, content_type: str, first: bytes = b""
    ) -> web.StreamResponse:
        """Send chunks as they come, until they end, the reader leaves or the server stops."""
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            if first:
                async with timeouts.write_timeout(request):
                    await response.write(first)
            while not closing.done():
                following = asyncio.ensure_future(anext(chunks, None))
                try:
                    await asyncio.wait((following, closing), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait((following,))
                if following.cancelled() or (chunk := following.result()) is None:
                    break
                async with timeouts.write_timeout(request):
                    await response.write(chunk)
        except ConnectionError:
            return response
        finally:
            closing.cancel()
            await chunks.aclose()
        await response.write_eof()
        return response


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    if isinstance(protocol, timeouts.TimeoutRequestHandler):
        protocol.request_started()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=filters.MAX_BODY_BYTES)


def _request_verb(request: web.BaseRequest, target: request_info.RequestInfo) -> str:
    """The API verb of a request.

    Raises:
        ApiError: 405.
    """
    verb, whole = _VERB_BY_METHOD.get(request.method), target.name == ""
    if (
        verb == "get"
        and not target.subresource
        and (target.is_watch_path or query_options.parse_bool(request.query, "watch"))
    ):
        verb = "watch"
    elif verb == "get" and whole:
        verb = "list"
    elif verb == "delete" and whole:
        verb = "deletecollection"
    everywhere = target.resource.namespaced and target.namespace is None
    if (
        verb is None
        or (target.is_watch_path and verb != "watch")
        or verb not in target.resource.verbs_for(target.subresource)
        # A collection is made into, an object is not; and only an object is changed.
        or (not target.subresource and verb != "watch" and whole is not (verb in _COLLECTION_VERBS))
        # Over all namespaces there is only looking.
        or (everywhere and verb not in ("list", "watch"))
    ):
        raise method_not_allowed()
    return verb


def _log_options(query: Any, now: datetime) -> LogOptions:
    def number(name: str) -> int | None:
        text = query.get(name)
        if text in (None, ""):
            return None
        if not text.isdigit():
            raise bad_request(f"{name}: Invalid value: {text!r}: must be a number")
        return int(text)

    since: datetime | None = None
    if query.get("sinceTime"):
        try:
            since = datetime.fromisoformat(query["sinceTime"])
        except ValueError:
            raise bad_request(f"sinceTime: Invalid value: {query['sinceTime']!r}") from None
    elif (seconds := number("sinceSeconds")) is not None:
        since = now - timedelta(seconds=seconds)
    return LogOptions(
        container=query.get("container", ""),
        follow=query_options.parse_bool(query, "follow"),
        previous=query_options.parse_bool(query, "previous"),
        timestamps=query_options.parse_bool(query, "timestamps"),
        tail_lines=number("tailLines"),
        limit_bytes=number("limitBytes"),
        since=since,
    )
