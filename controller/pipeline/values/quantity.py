"""Quantities of CPU and memory in the notation of Kubernetes: `500m`, `2`, `512Mi`."""

from __future__ import annotations

import re
from decimal import Decimal

PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?", re.ASCII)
_FACTOR = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}


def parse_quantity(text: str) -> Decimal:
    """The number of cores or bytes: `500m` is 0.5, `1Ki` is 1024. Raises ValueError if the text is not a quantity."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity: write a number and a unit, such as 500m or 512Mi")
    return Decimal(found.group(1)) * _FACTOR[found.group(2) or ""]
