"""The HTTP server: one handler that parses the path, authenticates, authorizes, and calls the verb's handler.

There is no router, because the resources change while the server runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from embedded.api.interfaces import KubeletApi
from embedded.api.scheme import BUILT_IN
from embedded.api.status_errors import ApiError, bad_request, method_not_allowed, unknown_resource
from embedded.apiserver import filters, negotiation, query_options, request_info, responses, timeouts
from embedded.apiserver.codec import decode
from embedded.apiserver.handlers import discovery, exec, metrics
from embedded.apiserver.handlers.list import join_chunks, list_chunks
from embedded.apiserver.handlers.openapi import EncodedDocument
from embedded.apiserver.handlers.scale import ScaleHandlers
from embedded.apiserver.handlers.watch import parse_watch
from embedded.apiserver.handlers.write import WriteHandlers
from embedded.apiserver.log_options import parse_log_options
from embedded.apiserver.request import ApiRequest
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.auth.escalation import EscalationGuard
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.reviews import answer_review, is_review
from embedded.auth.tokens import DEFAULT_AUDIENCE, Authenticator, User
from embedded.registry.registry import Registry
from embedded.storage.database import StorageError

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_VERB_BY_METHOD = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = ("create", "list", "deletecollection")
_CHUNK_BYTES = 1 << 18
"""Larger lists are sent in blocks of this size."""


class Server:
    """Serves the API of a registry."""

    def __init__(
        self, registry: Registry, authenticator: Authenticator, authorizer: Authorizer, pods: KubeletApi
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._pods = pods
        self._closing = asyncio.Event()
        webhooks = WebhookAdmission(registry)
        self._write_handlers = writing = WriteHandlers(registry, EscalationGuard(registry, authorizer), webhooks)
        self._scale_handlers = ScaleHandlers(registry, webhooks)
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
        """A runner that the caller starts on a socket."""
        server = timeouts.TimeoutServer(
            self.handle, request_factory=_make_request, access_log=None, handler_cancellation=True, tcp_keepalive=True
        )
        return web.ServerRunner(server, shutdown_timeout=1.0)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
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
            _log.error("storage error: %s", error)
            return responses.error_response(ApiError(500, "InternalError", str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            # The boundary: a defect in one request must not end the server; its cause is logged.
            _log.exception("request failed: %s %s", request.method, request.path)
            return responses.error_response(
                ApiError(500, "InternalError", "internal error; see the cluster's log for the cause")
            )
        finally:
            if isinstance(request.protocol, timeouts.TimeoutRequestHandler):
                request.protocol.request_finished()

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        filters.check_origin(request.headers)
        user = filters.authenticate(request.headers, self._authenticator)
        user = filters.impersonate(request.headers, user, self._authorizer)
        info = request_info.parse(request.path, self._registry.scheme)
        if info is None and (wanted := metrics.parse_path(request.path)) is not None:
            return await self._read_metrics(request, user, wanted)
        if info is None:
            return self._serve_non_resource(request, user)
        verb = _request_verb(request, info)
        resource = info.resource
        self._authorize(user, verb, info)
        if is_review(resource):
            if verb != "create":
                raise method_not_allowed()
            review = decode.read_object(
                await timeouts.read_body(request), negotiation.content_type(request), resource.kind
            )
            return responses.json_response(
                201,
                answer_review(resource, review, info.namespace or "", user, self._authenticator, self._authorizer),
            )
        api_request = ApiRequest(request, info, user)
        if info.subresource not in ("log", *exec.SUBRESOURCES):
            negotiation.negotiate(api_request.accept)
        if info.subresource == "log" and verb == "get":
            return await self._pod_log(api_request)
        if info.subresource in exec.SUBRESOURCES:
            # A WebSocket starts as a GET, but requires the permission to create.
            self._authorize(user, "create", info)
            where = (info.namespace or "", info.name, info.subresource)
            return await exec.handle_stream(request, *where, self._pods, self._closing)
        if info.subresource == "token":
            return await self._token(api_request, verb)
        if info.subresource == "eviction":
            return await self._write_handlers.evict(api_request)
        if info.subresource == "scale":
            return await self._scale_handlers.handle(api_request, verb)
        return await self._methods[verb](api_request)

    async def _read_metrics(self, request: web.BaseRequest, user: User, wanted: metrics.MetricsRequest) -> web.Response:
        if request.method != "GET":
            raise method_not_allowed()
        access = AccessRequest(wanted.verb, metrics.GROUP, wanted.resource, wanted.namespace)
        if not self._authorizer.allows(user, access):
            message = (
                f'{wanted.resource}.{metrics.GROUP} is forbidden: User "{user.name}" cannot {wanted.verb} resource'
            )
            raise ApiError(403, "Forbidden", f'{message} "{wanted.resource}" in API group "{metrics.GROUP}"', {})
        return responses.json_response(
            200, await metrics.read(self._pods, wanted, request.query.get("labelSelector", ""))
        )

    def _serve_non_resource(self, request: web.BaseRequest, user: User) -> web.Response:
        """Serve discovery and health checks; 404 for everything else."""
        found = discovery.find_document(
            request.path, self._registry.scheme, request.headers.get("Accept", ""), verbose="verbose" in request.query
        )
        if found is not None:
            if request.method not in ("GET", "HEAD"):
                raise method_not_allowed()
            if not self._authorizer.allows(user, AccessRequest("get", path=request.path)):
                raise ApiError(403, "Forbidden", f'User "{user.name}" cannot get path "{request.path}"', {})
            if isinstance(found, EncodedDocument):
                return web.Response(body=found.body, headers={"Content-Type": found.media_type})
            return web.Response(text=found) if isinstance(found, str) else responses.json_response(200, found)
        group = request.path.strip("/").split("/")
        known = self._registry.scheme.group_versions()
        if group[0] == "api" or (group[0] == "apis" and len(group) > 2 and _is_served(group[1], group[2], known)):
            raise unknown_resource()
        return web.Response(status=404, text="404 page not found\n")

    def _authorize(self, user: User, verb: str, info: request_info.RequestInfo) -> None:
        resource = info.resource
        name = f"{resource.plural}/{info.subresource}" if info.subresource else resource.plural
        # Rules about a namespace itself are those of that namespace.
        namespace = info.namespace or ""
        access = AccessRequest(verb, resource.group, name, namespace, info.name)
        if not self._authorizer.allows(user, access):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            subject = f'{resource.key} "{info.name}" is forbidden' if info.name else f"{resource.key} is forbidden"
            message = (
                f'{subject}: User "{user.name}" cannot {verb} resource "{name}" in API group "{resource.group}"{where}'
            )
            details: Json = {"kind": resource.plural}
            if info.name:
                details["name"] = info.name
            if resource.group:
                details["group"] = resource.group
            raise ApiError(403, "Forbidden", message, details)

    # -- verbs

    async def _get_object(self, request: ApiRequest) -> web.StreamResponse:
        info, representation = request.info, negotiation.negotiate(request.accept)
        query_options.require_reached_revision(request.query, self._registry.store.revision)
        raw = self._registry.get_bytes(info.ref)
        if representation.shape == "object":
            return responses.raw_json_response(200, raw)
        if representation.shape == "Table":
            raw = self._registry.get_stored(info.ref)
        return responses.json_response(200, request.render(json.loads(raw), self._registry.clock()))

    async def _list_objects(self, request: ApiRequest) -> web.StreamResponse:
        info = request.info
        chunks = list_chunks(self._registry, info.resource, info.namespace, request.query, request.accept)
        length = sum(map(len, chunks))
        if length <= _CHUNK_BYTES or negotiation.negotiate(request.accept).yaml:
            return responses.raw_json_response(200, b"".join(chunks))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = length
        await response.prepare(request.http)
        for block in join_chunks(chunks, _CHUNK_BYTES):
            async with timeouts.write_timeout(request.http):
                await response.write(block)
        await response.write_eof()
        return response

    async def _watch(self, request: ApiRequest) -> web.StreamResponse:
        info = request.info
        watch = parse_watch(self._registry, info.resource, info.namespace, request.query, request.accept, info.name)
        return await self._stream(request.http, watch.lines(), "application/json")

    # -- subresources

    async def _token(self, request: ApiRequest, verb: str) -> web.StreamResponse:
        if verb != "create":
            raise method_not_allowed()
        http, info = request.http, request.info
        spec = (
            decode.read_object(await timeouts.read_body(http), negotiation.content_type(http), "TokenRequest").get(
                "spec"
            )
            or {}
        )
        seconds, audiences = spec.get("expirationSeconds", 3600), spec.get("audiences") or [DEFAULT_AUDIENCE]
        bound_to = spec.get("boundObjectRef")
        if type(seconds) is not int or not isinstance(audiences, list) or not isinstance(bound_to or {}, dict):
            raise bad_request("a TokenRequest's expirationSeconds is a whole number and its audiences a list")
        token = self._authenticator.issue_token(info.namespace or "", info.name, seconds, audiences, bound_to)
        return responses.json_response(201, token)

    async def _pod_log(self, request: ApiRequest) -> web.StreamResponse:
        info = request.info
        chunks = self._pods.read_log(
            info.namespace or "", info.name, parse_log_options(info.name, request.query, self._registry.clock())
        )
        try:
            first = await anext(chunks, b"")
        except ApiError as error:
            if error.code == 404:
                raise
            return responses.error_response(error)
        return await self._stream(request.http, chunks, "text/plain", first)

    async def _stream(
        self, request: web.BaseRequest, chunks: Any, content_type: str, first: bytes = b""
    ) -> web.StreamResponse:
        """Send chunks as they come, until they end, the client disconnects or the server stops."""
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


def _is_served(group: str, version: str, known: dict[str, list[str]]) -> bool:
    """Whether a path of the group is answered by a Status: for all versions of a built-in group."""
    return version in known.get(group, ()) or any(resource.group == group for resource in BUILT_IN)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    if isinstance(protocol, timeouts.TimeoutRequestHandler):
        protocol.request_started()
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=filters.MAX_BODY_BYTES)


def _request_verb(request: web.BaseRequest, info: request_info.RequestInfo) -> str:
    """The API verb of a request.

    Raises:
        ApiError: 405.
    """
    verb, is_collection = _VERB_BY_METHOD.get(request.method), info.name == ""
    if (
        verb == "get"
        and not info.subresource
        # The option is ignored for a single object, which only a path below /watch watches.
        and (info.is_watch_path or (is_collection and query_options.parse_bool(request.query, "watch")))
    ):
        verb = "watch"
    elif verb == "get" and is_collection:
        verb = "list"
    elif verb == "delete" and is_collection:
        verb = "deletecollection"
    all_namespaces = info.resource.namespaced and info.namespace is None
    if (
        verb is None
        or (info.is_watch_path and verb != "watch")
        or verb not in info.resource.verbs_for(info.subresource)
        # Objects are created in a collection; only single objects are changed.
        or (not info.subresource and verb != "watch" and is_collection is not (verb in _COLLECTION_VERBS))
        # Across all namespaces there is only list and watch.
        or (all_namespaces and verb not in ("list", "watch"))
    ):
        raise method_not_allowed()
    return verb
