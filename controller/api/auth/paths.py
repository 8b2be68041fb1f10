"""Names in paths: they become parts of Kubernetes URLs and object keys, so each has a pattern."""

import re
from collections.abc import Mapping
from typing import Any

from controller.api.http.problems import ApiProblemError
from controller.run_types.patterns import DIGEST_PATTERN, NAME_PATTERN

PATH_PATTERNS = {
    "ns": re.compile(NAME_PATTERN),
    "run": re.compile(NAME_PATTERN),
    "name": re.compile(NAME_PATTERN),
    "pipeline": re.compile(NAME_PATTERN),
    "connection": re.compile(NAME_PATTERN),
    "slug": re.compile(NAME_PATTERN),
    "digest": re.compile(DIGEST_PATTERN),
    "attempt": re.compile(r"^[1-9][0-9]{0,5}$"),
    "step": re.compile(r"^[^\x00-\x1f\x7f/]{1,200}$"),
}
"""The pattern of each path parameter, by its name in the route."""

_NOUNS = {
    "ns": "namespace",
    "run": "run's name",
    "name": "name",
    "pipeline": "pipeline's name",
    "connection": "connection's name",
    "slug": "step's slug",
    "step": "step's name",
}


def check_path(params: Mapping[str, Any]) -> None:
    """Raises a problem 404 for a path parameter that no object can be named by."""
    for key, value in params.items():
        pattern = PATH_PATTERNS.get(key)
        if pattern is not None and not pattern.fullmatch(str(value)):
            raise ApiProblemError("not-found", f"nothing can have this {_NOUNS.get(key, key)}")
