"""The forges: how each signs its deliveries, and what its payloads say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.webhooks.event import Parsed
from controller.webhooks.payload import Payload
from controller.webhooks.providers import bitbucket_cloud, bitbucket_server, gitea, github, gitlab
from controller.webhooks.signature import Headers

Verify = Callable[[Headers, bytes, Sequence[bytes], float], bool]


@dataclass(frozen=True)
class Provider:
    """One forge's webhooks.

    Attributes:
        name: as in `spec.provider` of a RepositoryConnection.
        path: as in the receiver's URL, where both products of Bitbucket are `bitbucket`.
        verify: whether a delivery (headers, body) is signed with one of the secrets, at a time in seconds since 1970.
        delivery_id: the id that the forge repeats when it delivers again; empty if there is none.
        event_name: the event as the forge names it, for lists.
        parse: what a verified payload says, at least one thing. Raises PayloadError.
        sign: the headers of the signature that the forge would send with a body at a time, to replay one.
        id_header: the header that has the id of a delivery.
    """

    name: str
    path: str
    verify: Verify
    delivery_id: Callable[[Headers], str]
    event_name: Callable[[Headers], str]
    parse: Callable[[Headers, Payload], Sequence[Parsed]]
    sign: Callable[[bytes, bytes, float], Mapping[str, str]]
    id_header: str


PROVIDERS: Mapping[str, Provider] = {
    "github": Provider(
        "github",
        "github",
        github.verify,
        github.delivery_id,
        github.event_name,
        github.parse,
        github.sign,
        "x-github-delivery",
    ),
    "gitlab": Provider(
        "gitlab",
        "gitlab",
        gitlab.verify,
        gitlab.delivery_id,
        gitlab.event_name,
        gitlab.parse,
        gitlab.sign,
        "idempotency-key",
    ),
    "bitbucket": Provider(
        "bitbucket",
        "bitbucket",
        bitbucket_cloud.verify,
        bitbucket_cloud.delivery_id,
        bitbucket_cloud.event_name,
        bitbucket_cloud.parse,
        bitbucket_cloud.sign,
        "x-request-uuid",
    ),
    "bitbucket-server": Provider(
        "bitbucket-server",
        "bitbucket",
        bitbucket_cloud.verify,
        bitbucket_server.delivery_id,
        bitbucket_cloud.event_name,
        bitbucket_server.parse,
        bitbucket_cloud.sign,
        "x-request-id",
    ),
    "gitea": Provider(
        "gitea",
        "gitea",
        gitea.verify,
        gitea.delivery_id,
        gitea.event_name,
        gitea.parse,
        gitea.sign,
        "x-gitea-delivery",
    ),
}
"""By the provider of a RepositoryConnection."""
PATHS = frozenset(provider.path for provider in PROVIDERS.values()) | {"forgejo", "bitbucket-server"}
"""The providers that a receiver's URL may name. Forgejo sends what Gitea does."""


def fits(provider: Provider, path: str, headers: Headers) -> bool:
    """Whether a delivery under this part of the URL is for connections of the provider.

    The two products of Bitbucket share one: only the Cloud numbers its requests with `X-Request-UUID`.
    """
    if provider.path == "bitbucket" and ("x-request-uuid" in headers) != (provider.name == "bitbucket"):
        return False
    return path in (provider.path, provider.name) or (path == "forgejo" and provider.name == "gitea")
