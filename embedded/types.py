"""Types that every package of the embedded cluster uses."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""A decoded JSON object."""
