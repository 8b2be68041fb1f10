"""String formats accept what Kubernetes accepts."""

from __future__ import annotations

import pytest

from embedded.crd.formats import matches_format


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        *(("aGVsbG8=", True), ("aGk=", True), ("aGVs", True)),
        *(("", False), ("aGVs\nbG8=", False), ("aGVsbG8=\n", False), ("_-8=", False), ("aGVs=", False), ("aGV", False)),
    ],
)
def test_byte_is_base64_in_one_line(value: str, fits: bool) -> None:
    assert matches_format(value, "byte") is fits


def test_an_unknown_format_restricts_nothing() -> None:
    assert matches_format("anything", "unknown")
