"""Whether a real Kubernetes would accept a request: its path, query, headers and body, one after the other.

Stricter than a server in one thing: what it would ignore in silence (a parameter, a field) is a problem, too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.contract.conversation import bodies, formats
from tests.contract.conversation.endpoints import Endpoint, resolve
from tests.support.recording_proxy import Request

_ANONYMOUS_PATHS = ("/version", "/healthz", "/livez", "/readyz", "/api", "/apis")
_JSON_RANGES = {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/*", "*/*"}
_PATCH_TYPES = {
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
}
_BODY_TYPES = {"", "application/json"}
_SUBPROTOCOLS = {"v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io"}
_BOOLEANS = {"watch", "allowWatchBookmarks", "sendInitialEvents", "force", "follow", "previous", "timestamps"}
_BOOLEANS |= {"stdin", "stdout", "stderr", "tty", "orphanDependents", "insecureSkipTLSVerifyBackend"}
_NUMBERS = {"limit", "timeoutSeconds", "gracePeriodSeconds", "sinceSeconds", "tailLines", "limitBytes"}
_MAX_BODY, _MAX_OBJECT, _MAX_HEAD, _MAX_MANAGER = 3 << 20, 1536 << 10, 1 << 20, 128

Query = list[tuple[str, str]]


def find_problems(request: Request) -> list[str]:
    """Why a real server would refuse or misunderstand a request; empty when it would not."""
    url = urlsplit(request.target)
    query = parse_qsl(url.query, keep_blank_values=True)
    about = f"{request.method} {request.target}"
    return [f"{about}: {problem}" for problem in _find(request, url.path, query)]


def _find(request: Request, path: str, query: Query) -> Iterator[str]:
    yield from _head_problems(request)
    if path in _ANONYMOUS_PATHS or path.startswith("/openapi/"):
        if request.method != "GET":
            yield "only GET is served here"
        return
    endpoint = resolve(path)
    if isinstance(endpoint, str):
        yield endpoint
        return
    if request.method not in endpoint.methods():
        yield f"405: {request.method} is not served here"
        return
    yield from _name_problems(endpoint)
    yield from _query_problems(request.method, endpoint, query)
    if endpoint.subresource in ("exec", "attach"):
        yield from _stream_problems(request, dict(query), endpoint.subresource)
        return
    if endpoint.subresource != "log":
        yield from _accept_problems(request)
    yield from _body_problems(request, endpoint, dict(query))


def _head_problems(request: Request) -> Iterator[str]:
    if not request.header("host"):
        yield "400: there is no Host"
    scheme, _, token = (request.header("authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        yield "401: there is no bearer token"
    if sum(len(name) + len(value) for name, value in request.headers) + len(request.target) > _MAX_HEAD:
        yield "431: the head is larger than 1 MiB"
    if request.header("origin"):
        yield "an Origin belongs to browsers"


def _name_problems(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.namespace is not None and not formats.is_name(endpoint.namespace, "Namespace"):
        yield f"{endpoint.namespace!r} is not the name of a namespace"
    if endpoint.name is not None and not formats.is_name(endpoint.name, endpoint.kind.kind):
        yield f"{endpoint.name!r} is not the name of a {endpoint.kind.kind}"


def _query_problems(method: str, endpoint: Endpoint, query: Query) -> Iterator[str]:
    known = endpoint.parameters(method)
    given = dict(query)
    for name, value in query:
        if name not in known:
            yield f"the parameter {name} is not known here"
        elif name in _BOOLEANS and value not in ("true", "false", "1", "0"):
            yield f"{name}={value} is not a boolean"
        elif name in _NUMBERS and not value.isdigit():
            yield f"{name}={value} is not a number"
    repeated = {name for name, _ in query if name != "command" and [n for n, _ in query].count(name) > 1}
    yield from (f"{name} is given more than once" for name in sorted(repeated))
    version = given.get("resourceVersion", "")
    if version and not version.isdigit():
        yield f"resourceVersion={version} is not one of a server"
    yield from formats.label_selector_problems(given.get("labelSelector", "")) if given.get("labelSelector") else ()
    selectable = endpoint.kind.selectable | {"metadata.name", "metadata.namespace"}
    yield from formats.field_selector_problems(given.get("fieldSelector", ""), selectable)
    yield from _list_problems(given)
    yield from _option_problems(given)


def _list_problems(given: dict[str, str]) -> Iterator[str]:
    watches = given.get("watch") in ("true", "1")
    if given.get("continue") and given.get("resourceVersion"):
        yield "400: specifying resource version is not allowed when using continue"
    if given.get("resourceVersionMatch") and not given.get("resourceVersion") and not given.get("sendInitialEvents"):
        yield "resourceVersionMatch is forbidden unless resourceVersion is provided"
    if given.get("resourceVersionMatch", "Exact") not in ("Exact", "NotOlderThan"):
        yield "resourceVersionMatch is Exact or NotOlderThan"
    if given.get("sendInitialEvents") and not (watches and given.get("resourceVersionMatch") == "NotOlderThan"):
        yield "sendInitialEvents needs a watch with resourceVersionMatch=NotOlderThan"
    if not watches and (given.get("allowWatchBookmarks") or given.get("timeoutSeconds")):
        yield "options of a watch without watch=true"
    if given.get("sinceTime") and given.get("sinceSeconds"):
        yield "422: at most one of sinceTime and sinceSeconds may be specified"
    if given.get("sinceTime") and not formats.is_time(given["sinceTime"]):
        yield f"sinceTime={given['sinceTime']} is not a time"


def _option_problems(given: dict[str, str]) -> Iterator[str]:
    if given.get("dryRun", "All") != "All":
        yield "dryRun is All"
    if given.get("fieldValidation", "Strict") not in ("Ignore", "Warn", "Strict"):
        yield "fieldValidation is Ignore, Warn or Strict"
    manager = given.get("fieldManager", "x")
    if not manager.isprintable() or not 0 < len(manager) <= _MAX_MANAGER:
        yield "fieldManager is not a printable text of at most 128 characters"
    if given.get("propagationPolicy", "Orphan") not in ("Orphan", "Background", "Foreground"):
        yield "propagationPolicy is Orphan, Background or Foreground"


def _media_ranges(request: Request) -> set[str]:
    """The media types of Accept without their parameters; everything when there is none."""
    accept = request.header("accept")
    return {each.partition(";")[0].strip().lower() for each in accept.split(",")} if accept else {"*/*"}


def _accept_problems(request: Request) -> Iterator[str]:
    if not _media_ranges(request) & _JSON_RANGES:
        yield "406: Accept allows no representation of objects"


def _stream_problems(request: Request, given: dict[str, str], subresource: str) -> Iterator[str]:
    """Of exec and attach. A kubelet answers 406 where Accept allows neither everything nor its own types."""
    if "*/*" not in _media_ranges(request):
        yield "406: a kubelet needs */* in Accept"
    if request.method == "GET":
        tokens = {each.strip().lower() for each in (request.header("connection") or "").split(",")}
        if "upgrade" not in tokens or (request.header("upgrade") or "").lower() != "websocket":
            yield "400: Upgrade request required"
        if request.header("sec-websocket-version") != "13":
            yield "426: the version of WebSocket is 13"
        try:
            is_key = len(base64.b64decode(request.header("sec-websocket-key") or "", validate=True)) == 16
        except ValueError:
            is_key = False
        if not is_key:
            yield "400: Sec-WebSocket-Key is not 16 bytes in base64"
        offered = request.header("sec-websocket-protocol")
        if offered and not {each.strip() for each in offered.split(",")} & _SUBPROTOCOLS:
            yield f"403: unable to negotiate protocol: a kubelet knows none of {offered}"
    if subresource == "exec" and "command" not in given:
        yield "400: you must specify a command"
    streams = {name for name in ("stdin", "stdout", "stderr") if given.get(name) in ("true", "1")}
    if not streams:
        yield "400: you must specify at least 1 of stdin, stdout, stderr"
    if "stderr" in streams and given.get("tty") in ("true", "1"):
        yield "400: tty and stderr cannot both be true"


def _body_problems(request: Request, endpoint: Endpoint, given: dict[str, str]) -> Iterator[str]:
    if request.method == "GET":
        if request.body:
            yield "a GET has a body"
        return
    if len(request.body) > _MAX_BODY:
        yield "413: the body is larger than 3 MiB"
    media = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media not in (_PATCH_TYPES if request.method == "PATCH" else _BODY_TYPES):
        yield f"415: the Content-Type {media or 'that is missing'} is not accepted here"
        return
    if not request.body:
        if request.method != "DELETE":
            yield "400: there is no body"
        return
    try:
        body, duplicates = formats.decode_strictly(request.body)
    except ValueError as error:
        yield f"400: the body is not JSON: {error}"
        return
    yield from (f"strict decoding: {each}" for each in duplicates)
    if request.method in ("POST", "PUT") and len(request.body) > _MAX_OBJECT:
        yield "500: etcdserver: request is too large: the object is larger than 1.5 MiB"
    yield from _typed_body_problems(request.method, media, endpoint, given, body)


def _typed_body_problems(
    method: str, media: str, endpoint: Endpoint, given: dict[str, str], body: Any
) -> Iterator[str]:
    if method == "DELETE":
        yield from bodies.delete_problems(body)
    elif method != "PATCH":
        yield from bodies.object_problems(endpoint, body, is_new=method == "POST")
    elif media == "application/json-patch+json":
        yield from bodies.json_patch_problems(body)
    elif media == "application/apply-patch+yaml":
        if not given.get("fieldManager"):
            yield "422: fieldManager is required for apply patch"
        yield from bodies.applied_problems(endpoint, body)
    else:
        if endpoint.kind.schema is not None and media.startswith("application/strategic"):
            yield "415: custom resources have no strategic merge patch"
        if given.get("force"):
            yield "422: force may not be specified for non-apply patch"
        yield from bodies.merge_patch_problems(endpoint, body)
