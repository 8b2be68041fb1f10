"""Client of the agent API, and the transfers by the URLs that it hands out."""

from __future__ import annotations

import hashlib
import json

from . import http_client
from .errors import AgentError, NetworkError, RequestRejectedError, printable
from .settings import AgentSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO

_ROUTES = "/api/v1/agent/"


class AgentClient:
    """The routes of the controller for agents. All methods raise AgentError; network errors are retried before."""

    def __init__(self, settings: AgentSettings) -> None:
        self._url = settings.api_url
        self._token = settings.token

    def download_link(self, what: str) -> dict[str, Any]:
        """The location of `source` or `artifacts/<slug>`: url, sha256, size."""
        found = self._call("GET", what, None)
        if not (isinstance(found.get("url"), str) and isinstance(found.get("sha256"), str)):
            raise AgentError(f"the API's response about {what} is not understood")
        return found

    def upload_link(self, slug: str, attempt: str, size: int, sha256: str) -> dict[str, Any]:
        """The link to PUT the archive of the artifacts to."""
        return self._upload_link(f"artifacts/{slug}/{attempt}", {"size": size, "sha256": sha256})

    def commit(self, slug: str, attempt: str, manifest: dict[str, Any]) -> None:
        """Report that the archive is complete, and what it holds."""
        self._call("PUT", f"artifacts/{slug}/{attempt}/manifest", manifest)

    def cache_link(self, key: str) -> dict[str, Any] | None:
        """The location of the cache of a key: url, sha256, size; None if there is none."""
        try:
            found = self._call("POST", "caches/lookup", {"key": key})
        except RequestRejectedError as error:
            if error.status == 404:
                return None
            raise
        if not (isinstance(found.get("url"), str) and isinstance(found.get("sha256"), str)):
            raise AgentError("the API's response about a cache is not understood")
        return found

    def cache_upload_link(self, key: str, size: int, sha256: str) -> dict[str, Any]:
        """The link to PUT the archive of a cache to."""
        return self._upload_link("caches", {"key": key, "size": size, "sha256": sha256})

    def commit_cache(self, key: str, size: int, sha256: str) -> None:
        """Report that the archive of a cache is complete."""
        self._call("PUT", "caches/manifest", {"key": key, "size": size, "sha256": sha256})

    def workspace_policy(self, slug: str, attempt: str) -> dict[str, Any]:
        """Whether to save the workspace of this attempt (`wanted`, else `why` not), and its limit in bytes."""
        found = self._call("GET", f"workspaces/{slug}/{attempt}", None)
        if not isinstance(found.get("wanted"), bool) or not isinstance(found.get("limit"), int):
            raise AgentError("the API's response about a workspace is not understood")
        return found

    def workspace_link(self, slug: str, attempt: str, size: int, sha256: str) -> dict[str, Any]:
        """The link to PUT the archive of a workspace to."""
        return self._upload_link(f"workspaces/{slug}/{attempt}", {"size": size, "sha256": sha256})

    def commit_workspace(self, slug: str, attempt: str, report: dict[str, Any]) -> None:
        """Report that the archive of a workspace is complete, or why there is none (`problem`)."""
        self._call("PUT", f"workspaces/{slug}/{attempt}/manifest", report)

    def source_link(self, snapshot: dict[str, Any]) -> dict[str, Any] | None:
        """The link to PUT the snapshot of a repository to; None if it is stored already."""
        found = self._upload_link("source", snapshot)
        return None if found.get("present") is True else found

    def commit_source(self, snapshot: dict[str, Any]) -> None:
        """Report that the snapshot is complete, and its commit."""
        self._call("PUT", "source/manifest", snapshot)

    def await_opening(self, slug: str, attempt: str, job: str) -> list[str] | None:
        """Wait for a while until the step is due; where it is held then, None if it is not due yet.

        One try. Raises NetworkError if that is worth another, RequestRejectedError if the step is never due.
        """
        found = self._call_once("GET", f"gate/{slug}/{attempt}?job={job}", None)
        holds = found.get("holds")
        if found.get("open") is not True:
            return None
        return [str(each) for each in holds] if isinstance(holds, list) else []

    def send_reports(self, slug: str, attempt: str, body: Callable[[], Iterable[bytes]], size: int) -> dict[str, Any]:
        """Send the reports of tests; what the API has counted in them. `body` is called for each try."""
        url = f"{self._url}{_ROUTES}tests/{slug}/{attempt}"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/gzip"}

        def attempt_once() -> dict[str, Any]:
            response = http_client.request("PUT", url, headers, body(), size)
            try:
                if response.status >= 300:
                    raise _response_error("storing the reports", response)
                content = response.body()
            finally:
                response.close()
            try:
                found = json.loads(content)
                return {"total": int(found["total"]), "failed": int(found["failed"]), **found}
            except (ValueError, KeyError, TypeError):
                raise AgentError("the API's response to the reports is not understood") from None

        return http_client.retry(attempt_once)

    def failed_tests(self) -> list[dict[str, Any]]:
        """The tests that the step is to run: how the list names them (`rerun`), `suite` and `name`."""
        found = self._call("GET", "tests/failed", None).get("tests")
        if not isinstance(found, list) or not all(isinstance(each, dict) and "rerun" in each for each in found):
            raise AgentError("the API's response about the failed tests is not understood")
        return found

    def report(self, slug: str, attempt: str, document: dict[str, Any]) -> None:
        """Report how far the step is; tried once, for a few seconds."""
        self._call_once("PUT", f"reports/{slug}/{attempt}", document, http_client.SHORT_TIMEOUT)

    def download(self, link: dict[str, Any], into: BinaryIO, what: str, *, retry: bool = True) -> int:
        """Download an archive and check its digest; its size in bytes.

        `retry`: whether network errors are retried, for about two minutes.
        """
        return (
            http_client.retry(lambda: self._download(link, into, what)) if retry else self._download(link, into, what)
        )

    def stream(self, link: dict[str, Any], what: str, consume: Callable[[HashedBody], None]) -> None:
        """Download an archive while `consume` reads it, and check its digest at the end; tried once.

        Raises:
            NetworkError: it is damaged or incomplete, whatever `consume` has found in it.
            AgentError: of `consume`, for an archive that is whole.
        """
        response = http_client.request("GET", self._absolute(link["url"]), {})
        try:
            if response.status != 200:
                raise _response_error(f"the download of {what}", response)
            body = HashedBody(response.chunks())
            try:
                consume(body)
            except NetworkError:
                raise
            except AgentError:
                _check_digest(body.hexdigest(), link, what)
                raise
            _check_digest(body.hexdigest(), link, what)
        finally:
            response.close()

    def put(self, link: dict[str, Any], body: Callable[[], Iterable[bytes]], size: int) -> None:
        """Upload a file by a link; `body` is called for each try."""
        headers = {"Content-Type": "application/gzip", **(link.get("headers") or {})}

        def attempt() -> None:
            response = http_client.request("PUT", self._absolute(link["url"]), headers, body(), size)
            try:
                if response.status >= 300:
                    raise _response_error("the upload", response)
            finally:
                response.close()

        http_client.retry(attempt)

    def _upload_link(self, path: str, announced: dict[str, Any]) -> dict[str, Any]:
        """The link for an announced upload: `url` and `headers`, unless it is `present`."""
        found = self._call("POST", path, announced)
        if found.get("present") is not True and not isinstance(found.get("url"), str):
            raise AgentError(f"the API's response to an upload to {path} is not understood")
        return found

    def _download(self, link: dict[str, Any], into: BinaryIO, what: str) -> int:
        into.seek(0)
        into.truncate()
        digest = hashlib.sha256()
        size = 0
        response = http_client.request("GET", self._absolute(link["url"]), {})
        try:
            if response.status != 200:
                raise _response_error(f"the download of {what}", response)
            for chunk in response.chunks():
                into.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        finally:
            response.close()
        _check_digest(digest.hexdigest(), link, what)
        return size

    def _call(self, method: str, path: str, document: dict[str, Any] | None) -> dict[str, Any]:
        return http_client.retry(lambda: self._call_once(method, path, document))

    def _call_once(
        self, method: str, path: str, document: dict[str, Any] | None, timeout: float | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        body = b"" if document is None else json.dumps(document, separators=(",", ":")).encode()
        if document is not None:
            headers["Content-Type"] = "application/json"
        response = http_client.request(
            method,
            self._url + _ROUTES + path,
            headers,
            (body,) if body else (),
            None if document is None else len(body),
            timeout,
        )
        try:
            if response.status >= 300:
                raise _response_error(f"{method} {path}", response)
            content = response.body()
        finally:
            response.close()
        try:
            found = json.loads(content) if content else {}
        except ValueError:
            raise NetworkError(f"the API's response to {method} {path} is not JSON") from None
        return found if isinstance(found, dict) else {}

    def _absolute(self, url: str) -> str:
        return self._url + url if url.startswith("/") else url


class HashedBody:
    """A body that is read like a file, and hashed on the way."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        if not self._left:
            self._left = next(self._chunks, b"")
            self._digest.update(self._left)
        data, self._left = self._left[:size], self._left[size:]
        return data

    def hexdigest(self) -> str:
        """The SHA-256 of all of it; what was not read yet is skipped."""
        for chunk in self._chunks:
            self._digest.update(chunk)
        return self._digest.hexdigest()


def _check_digest(found: str, link: dict[str, Any], what: str) -> None:
    expected = link["sha256"].removeprefix("sha256:")
    if found != expected:
        raise NetworkError(f"the download of {what} is damaged: its SHA-256 is {found}, not {expected}")


def _response_error(tried: str, response: http_client.Response) -> AgentError:
    """The error for a response of 300 and more; those of overloaded and failing servers are worth a retry."""
    detail = ""
    try:
        found = json.loads(response.body(64 * 1024))
        detail = str(found.get("detail") or found.get("title") or "")
    except (ValueError, AttributeError, NetworkError):
        detail = ""
    message = f"{tried} was refused with {response.status}" + (f": {printable(detail)}" if detail else "")
    if response.status >= 500 or response.status in (408, 429):
        return NetworkError(message)
    return RequestRejectedError(message, response.status)
