"""References of images."""

from __future__ import annotations

import pytest

from embedded.kubelet.runtime.engine.images.references import ImageReference

_DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "name", "version", "registry"),
    [
        ("busybox", "busybox", "latest", "docker.io"),
        ("org/app:1.2", "org/app", "1.2", "docker.io"),
        ("localhost:5000/app", "localhost:5000/app", "latest", "localhost:5000"),
        ("localhost/app:x", "localhost/app", "x", "localhost"),
        ("quay.io/a/b/c:v1", "quay.io/a/b/c", "v1", "quay.io"),
        (f"ghcr.io/o/i:1@{_DIGEST}", "ghcr.io/o/i", _DIGEST, "ghcr.io"),
        (f"app@{_DIGEST}", "app", _DIGEST, "docker.io"),
    ],
)
def test_a_reference_has_name_version_and_registry(text: str, name: str, version: str, registry: str) -> None:
    found = ImageReference.parse(text)
    assert found is not None
    assert (found.name, found.version, found.registry) == (name, version, registry)


@pytest.mark.parametrize(
    "text", ["", " ", "Upper", "a b", "a:", ":1", "a//b", "../x", "a@sha256:1", "a?b=c", "a/../b", "x" * 2000, "a\n"]
)
def test_an_invalid_reference_is_none(text: str) -> None:
    assert ImageReference.parse(text) is None
