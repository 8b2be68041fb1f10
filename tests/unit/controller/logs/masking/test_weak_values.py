"""Warnings of values that the mask can't hide well."""

import pytest

from controller.logs.masking.weak_values import masking_warning


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"abc", "is not masked in logs"),
        (b" ab \n", "is not masked in logs"),
        (b"Main", "is a common text"),
        (b"production\n", "is a common text"),
        (b"aaaaaaaaaaaa", "is a common text"),
        (b"hunt22", "a part of other words"),
        (b"x1" + b"-long-value" * 1000, "line by line"),
    ],
)
def test_weak_values_are_explained(value: bytes, words: str) -> None:
    warning = masking_warning("token", value)
    assert warning is not None
    assert "the value of token" in warning
    assert words in warning


def test_other_values_have_no_warning() -> None:
    assert masking_warning("token", b"correct-horse-battery-staple") is None
