"""Prints the API's OpenAPI document: `python -m tools.openapi`."""

import functools
import json
import sys
from typing import Any

from controller.api.app import build_app


@functools.cache
def document() -> dict[str, Any]:
    """The document of the API's routes."""
    return build_app().openapi()


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
