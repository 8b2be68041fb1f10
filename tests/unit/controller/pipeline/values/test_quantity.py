"""Quantities such as 500m and 2Gi."""

from __future__ import annotations

import pytest

from controller.pipeline.values import quantity


@pytest.mark.parametrize(
    ("text", "amount"), [("500m", 0.5), ("2", 2), ("1.5", 1.5), ("1Ki", 1024), ("2Gi", 2**31), ("1M", 1e6)]
)
def test_quantities_are_parsed_like_in_kubernetes(text: str, amount: float) -> None:
    assert float(quantity.parse_quantity(text)) == amount


def test_invalid_quantity_is_rejected_with_an_example() -> None:
    with pytest.raises(ValueError, match="such as 500m or 512Mi"):
        quantity.parse_quantity("2GB")
