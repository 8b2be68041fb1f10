"""Parsing and formatting of Kubernetes quantities: `500m`, `2Gi`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")
MAX_LENGTH = 1000
_MAX_EXPONENT = 2000
_MAX_SUFFIX_LENGTH = 10
_MAX_AMOUNT = Decimal((1 << 63) - 1)
"""Larger amounts are this one, as in `ParseQuantity` of apimachinery."""
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    **{suffix: Decimal(10 ** (3 * power)) for power, suffix in enumerate("MGTPE", 2)},
    **{f"{suffix}i": Decimal(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", 1)},
}


def parse_quantity(text: str | int | float) -> Decimal:
    """Parse a quantity such as `500m`, `1.5`, `2Gi`, `1e3`.

    Raises:
        ValueError: `text` is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(text)) if len(str(text)) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(f"{str(text)[:100]!r} is not a quantity such as 500m or 2Gi")
    number, suffix = Decimal(match.group(1)), match.group(2) or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        if len(suffix) > _MAX_SUFFIX_LENGTH:
            raise ValueError(f"the exponent of {text!r} is too large")
        amount = number * Decimal(10) ** max(-_MAX_EXPONENT, min(int(suffix[1:]), _MAX_EXPONENT))
    else:
        amount = number * _SUFFIXES[suffix]
    return max(-_MAX_AMOUNT, min(amount, _MAX_AMOUNT))


def is_quantity(text: str) -> bool:
    """Whether a text is a quantity of finite size."""
    try:
        return parse_quantity(text).is_finite()
    except (ValueError, ArithmeticError):
        return False


def format_quantity(amount: Decimal, name: str) -> str:
    """Format an amount as a real server does in a status: `500m`, `2`, and for memory `3Gi`."""
    if amount != int(amount):
        return f"{int((amount * 1000).to_integral_value(rounding='ROUND_CEILING'))}m"
    whole = int(amount)
    if name.endswith("memory") and whole:
        for power, suffix in ((60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")):
            if whole % (1 << power) == 0:
                return f"{whole >> power}{suffix}"
    return str(whole)


def canonical_quantity(text: str | int | float) -> str:
    """Rewrite a quantity as a real server stores it: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`.

    A text that is not a quantity is returned unchanged; validation reports it.
    """
    match = _QUANTITY.fullmatch(str(text)) if len(str(text)) <= MAX_LENGTH else None
    if match is None:
        return str(text)
    amount, suffix = parse_quantity(text), match.group(2) or ""
    if not amount:
        return "0"
    if suffix.endswith("i") and amount == int(amount):
        units = [(2 ** (10 * power), f"{letter}i") for power, letter in reversed(list(enumerate("KMGTPE", 1)))]
    elif suffix[:1] in ("e", "E") and len(suffix) > 1:
        units = [(10**power, f"e{power}") for power in (18, 15, 12, 9, 6, 3)]
    else:
        units = [(10 ** (3 * power), letter) for power, letter in reversed(list(enumerate("kMGTPE", 1)))]
    for size, name in units:
        if amount % size == 0:
            return f"{int(amount // size)}{name}"
    for size, name in ((Decimal(1), ""), (Decimal("1e-3"), "m"), (Decimal("1e-6"), "u")):
        if amount % size == 0:
            return f"{int(amount / size)}{name}"
    return f"{int((amount / Decimal('1e-9')).to_integral_value(rounding='ROUND_CEILING'))}n"
