"""The request that sets a commit status, for each forge: pure.

Sources: https://docs.github.com/en/rest/commits/statuses, https://docs.gitlab.com/api/commits/#set-commit-pipeline-status,
https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/,
https://developer.atlassian.com/server/bitbucket/rest/ (builds), and the OpenAPI document of Gitea.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from controller.forges.report import Report, State

Json = dict[str, Any]


class ForgeAddressError(Exception):
    """The address of the forge's API does not follow from the repository; the message says what to set."""


@dataclass(frozen=True)
class ForgeRequest:
    """A request with a JSON body, or without one.

    Attributes:
        accepts: error answers of which the body shows that the status is set all the same.
    """

    url: str
    headers: Mapping[str, str]
    body: Json | None
    accepts: Mapping[int, str] = field(default_factory=dict)
    method: str = "POST"

    @property
    def host(self) -> str:
        """Host and port, which limits of rate are for."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True)
class Repository:
    """A repository at a forge. `api`: the base of its API, without a slash at the end."""

    provider: str
    api: str
    path: str

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return urlsplit(self.api).netloc


def repository_of(provider: str, url: str, api_url: str) -> Repository:
    """The repository of a connection. Raises ForgeAddressError."""
    if "://" not in url:
        host, _, path = url.rpartition("@")[2].partition(":")
        scheme = "https"
    else:
        try:
            parts = urlsplit(url)
            host, path, scheme = parts.netloc.rpartition("@")[2], parts.path, parts.scheme
        except ValueError:
            raise ForgeAddressError(f"{url} is no URL") from None
        if scheme not in ("http", "https"):
            # The port is that of ssh.
            host, scheme = parts.hostname or "", "https"
    path = path.strip("/").removesuffix(".git")
    base = f"{scheme}://{host}"
    if provider == "bitbucket-server":
        # Clones are below /scm, or for ssh directly at the root.
        prefix, _, rest = f"/{path}".rpartition("/scm/")
        base, path = (base + prefix, rest) if rest and "/scm/" in f"/{path}" else (base, path)
    if not path or "/" not in path or not host:
        raise ForgeAddressError(f"{url} names no repository of an owner; set apiUrl and a repository like OWNER/NAME")
    return Repository(provider, (api_url or _default_api(provider, base, host)).rstrip("/"), path)


def _default_api(provider: str, base: str, host: str) -> str:
    if provider == "github":
        return "https://api.github.com" if host.lower() == "github.com" else f"{base}/api/v3"
    if provider == "gitlab":
        return f"{base}/api/v4"
    if provider == "bitbucket":
        return "https://api.bitbucket.org/2.0"
    return f"{base}/api/v1" if provider == "gitea" else f"{base}/rest/api/latest"


def status_request(repository: Repository, report: Report, token: str) -> ForgeRequest:
    """The request that sets the status of a commit."""
    build = {
        "github": _github,
        "gitea": _gitea,
        "gitlab": _gitlab,
        "bitbucket": _bitbucket,
        "bitbucket-server": _bitbucket_server,
    }[repository.provider]
    return build(repository, report, token)


def _quoted_path(repository: Repository) -> str:
    return quote(repository.path)


def _github(repository: Repository, report: Report, token: str) -> ForgeRequest:
    return _commit_status(repository, report, github_headers(token))


def _gitea(repository: Repository, report: Report, token: str) -> ForgeRequest:
    return _commit_status(repository, report, {"Authorization": f"token {token}", "Accept": "application/json"})


def _commit_status(repository: Repository, report: Report, headers: Mapping[str, str]) -> ForgeRequest:
    """GitHub's request, which Gitea has taken over."""
    state = {State.RUNNING: "pending", State.CANCELLED: "error"}.get(report.state, report.state.value)
    return ForgeRequest(
        f"{repository.api}/repos/{_quoted_path(repository)}/statuses/{report.commit}",
        headers,
        {"state": state, "target_url": report.url, "description": report.description, "context": report.context},
    )


def github_headers(token: str) -> dict[str, str]:
    """The headers of a request to GitHub. `token`: of a user, an installation or an App."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _gitlab(repository: Repository, report: Report, token: str) -> ForgeRequest:
    state = {State.FAILURE: "failed", State.CANCELLED: "canceled"}.get(report.state, report.state.value)
    return ForgeRequest(
        f"{repository.api}/projects/{quote(repository.path, safe='')}/statuses/{report.commit}",
        {"PRIVATE-TOKEN": token, "Accept": "application/json"},
        {"state": state, "name": report.context, "target_url": report.url, "description": report.description},
        # It refuses a state that the status has already.
        {400: "Cannot transition status"},
    )


_BITBUCKET_STATES = {
    State.PENDING: "INPROGRESS",
    State.RUNNING: "INPROGRESS",
    State.SUCCESS: "SUCCESSFUL",
    State.FAILURE: "FAILED",
}


def _bitbucket(repository: Repository, report: Report, token: str) -> ForgeRequest:
    return ForgeRequest(
        f"{repository.api}/repositories/{_quoted_path(repository)}/commit/{report.commit}/statuses/build",
        {"Authorization": f"Bearer {token}", "Accept": "application/json"},
        {
            "key": _key(report.context),
            "name": report.context,
            "state": _BITBUCKET_STATES.get(report.state, "STOPPED"),
            "url": report.url,
            "description": report.description,
        },
    )


def _bitbucket_server(repository: Repository, report: Report, token: str) -> ForgeRequest:
    project, _, slug = repository.path.rpartition("/")
    return ForgeRequest(
        f"{repository.api}/projects/{quote(project)}/repos/{quote(slug)}/commits/{report.commit}/builds",
        {"Authorization": f"Bearer {token}", "Accept": "application/json"},
        {
            "key": _key(report.context),
            "name": report.context,
            "state": _BITBUCKET_STATES.get(report.state, "CANCELLED"),
            "url": report.url,
            "description": report.description,
        },
    )


def _key(context: str) -> str:
    """At most 40 characters, which is what Bitbucket takes."""
    return context if len(context) <= 40 else f"{context[:27]}-{hashlib.sha256(context.encode()).hexdigest()[:12]}"
