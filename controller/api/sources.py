"""Working trees that people send: stored by the digest of their bytes, checked while they stream in.

Nothing of a body that does not have its announced digest, or is too large, stays in the store. A source that is there
already is not read again.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api import models
from controller.api.access import GuardedRoute
from controller.api.problems import ApiProblem
from controller.api.services import services_of

GZIP = b"\x1f\x8b"

router = APIRouter(prefix="/api/v1/namespaces/{ns}/sources", tags=["sources"], route_class=GuardedRoute)


def source_key(digest: str) -> str:
    """The object store's key of the source with this digest (`sha256:<hex>`)."""
    return f"sources/{digest.removeprefix('sha256:')}.tar.gz"
