"""Quantities are parsed and formatted as by Kubernetes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.quantity import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("2Gi", str(2 << 30)),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1e18"),
    ],
)
def test_quantities(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gb", "--1", "1e"])
def test_invalid_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**9))
def test_formatted_quantity_parses_to_the_same_amount(thousandths: int) -> None:
    amount = Decimal(thousandths) / 1000
    assert parse_quantity(format_quantity(amount, "cpu")) == amount


def test_memory_is_formatted_in_binary_units() -> None:
    assert format_quantity(Decimal(3 << 30), "limits.memory") == "3Gi"
