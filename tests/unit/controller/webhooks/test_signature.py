"""Signatures: the examples of the forges' own documentation, and everything that must not count as one."""

from __future__ import annotations

import base64
import hmac

import pytest

from controller.webhooks import signature
from controller.webhooks.providers import PROVIDERS

SECRET = b"It's a Secret to Everybody"
NOW = 1_731_705_121.0


def verifies(provider: str, headers: dict[str, str], body: bytes, *secrets: bytes, now: float = NOW) -> bool:
    return PROVIDERS[provider].verify(headers, body, secrets, now)


def test_the_example_of_github_s_documentation() -> None:
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={digest}"}
    assert verifies("github", headers, b"Hello, World!", SECRET)
    assert not verifies("github", headers, b"Hello, World?", SECRET)
    assert not verifies("github", headers, b"Hello, World!", b"another")


def test_the_example_of_bitbucket_s_documentation() -> None:
    # https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/#Secure-webhooks
    digest = "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    headers = {"x-hub-signature": f"sha256={digest}"}
    for provider in ("bitbucket", "bitbucket-server"):
        assert verifies(provider, headers, b"Hello World!", SECRET)
        assert not verifies(provider, headers, b"Hello World?", SECRET)


def standard_headers(secret: bytes, body: bytes, at: int) -> dict[str, str]:
    """As https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md describes."""
    key = base64.b64decode(secret.removeprefix(b"whsec_"))
    signed = hmac.digest(key, b"msg_1." + str(at).encode() + b"." + body, "sha256")
    signatures = f"v1a,bm90aGluZw== v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signatures}


TOKEN = b"whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef")


def test_a_signing_token_of_gitlab_is_a_key_and_never_the_text_itself() -> None:
    body = b'{"object_kind":"push"}'
    headers = standard_headers(TOKEN, body, int(NOW))
    assert verifies("gitlab", headers, body, TOKEN)
    assert not verifies("gitlab", headers, body + b" ", TOKEN)
    assert not verifies("gitlab", headers | {"webhook-id": "msg_2"}, body, TOKEN)
    assert not verifies("gitlab", {"x-gitlab-token": TOKEN.decode()}, body, TOKEN)


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_a_signature_of_gitlab_from_another_time_is_refused(age: int) -> None:
    headers = standard_headers(TOKEN, b"{}", int(NOW) - age)
    assert not verifies("gitlab", headers, b"{}", TOKEN)


def test_a_secret_token_of_gitlab_is_compared_as_it_is() -> None:
    assert verifies("gitlab", {"x-gitlab-token": "right"}, b"{}", b"wrong", b"right")
    assert not verifies("gitlab", {"x-gitlab-token": "righ"}, b"{}", b"right")
    assert not verifies("gitlab", {}, b"{}", b"right")


def test_gitea_and_forgejo_send_the_digest_without_a_prefix() -> None:
    digest = signature.hex_digest(SECRET, b"{}")
    assert verifies("gitea", {"x-gitea-signature": digest}, b"{}", SECRET)
    assert verifies("gitea", {"x-forgejo-signature": digest}, b"{}", SECRET)
    assert not verifies("gitea", {"x-gitea-signature": f"sha256={digest}"}, b"{}", SECRET)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_empty_secret_and_no_secret_verify_nothing(provider: str) -> None:
    headers = dict(PROVIDERS[provider].sign(b"", b"{}", NOW))
    assert not verifies(provider, headers, b"{}", b"")
    assert not verifies(provider, headers, b"{}")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_signed_for_a_replay_verifies(provider: str) -> None:
    assert verifies(provider, dict(PROVIDERS[provider].sign(SECRET, b"{}", NOW)), b"{}", b"old", SECRET)


def test_what_is_signed_with_a_signing_token_verifies() -> None:
    assert verifies("gitlab", dict(PROVIDERS["gitlab"].sign(TOKEN, b"{}", NOW)), b"{}", TOKEN)


HOSTILE = ("", "sha256=", "sha256=é", "sha1=" + "0" * 40, "sha256=" + "0" * 100_000, "\udcff", "v1,", "v1,é " * 1000)


@pytest.mark.parametrize("given", HOSTILE)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_hostile_signatures_are_refused_quietly(provider: str, given: str) -> None:
    names = ("x-hub-signature-256", "x-hub-signature", "x-gitea-signature", "x-gitlab-token")
    assert not verifies(provider, dict.fromkeys(names, given), b"{}", SECRET, TOKEN)
    standard = {"webhook-signature": given, "webhook-id": given, "webhook-timestamp": str(int(NOW))}
    assert not verifies(provider, standard, b"{}", SECRET, TOKEN)


@pytest.mark.parametrize("at", ["", "x", "-5", "9" * 40, "²"])
def test_a_timestamp_that_is_no_number_is_refused(at: str) -> None:
    headers = standard_headers(TOKEN, b"{}", int(NOW)) | {"webhook-timestamp": at}
    assert not verifies("gitlab", headers, b"{}", TOKEN)
