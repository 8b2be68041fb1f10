"""Secrets for steps: users set them and see names and keys; no value can be read through this API.

Only Secrets for pipelines (label `c8s.dev/secret=true`, which those set here have) are touched: others in the
namespace belong to someone else. Callers need rights on the virtual resource `secrets.c8s.dev`, none on core Secrets.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller import labels
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.models import cluster as models
from controller.api.state import AppState, get_state
from controller.kube import SECRETS, AlreadyExistsError, ConflictError, NotFoundError
from controller.logs.masking.weak_values import masking_warning
from controller.pipeline.run_cost import MAX_FILLED_BYTES

ATTEMPTS = 10
MAX_BYTES = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/secrets", tags=["secrets"], route_class=GuardedRoute)


@router.get("", operation_id="listSecrets", response_model=models.SecretList)
async def list_secrets(request: Request, ns: str) -> Response:
    """The names and keys of the secrets that were set through this API."""
    found = await get_state(request).client.list(SECRETS, namespace=ns, label_selector=f"{labels.SECRET}=true")
    items = sorted((_serialize_secret(secret) for secret in found["items"]), key=lambda each: str(each["name"]))
    return JSONResponse({"items": items})


@router.put("/{name}", operation_id="putSecret", response_model=models.StoredSecret)
async def put_secret(request: Request, ns: str, name: str, body: models.SecretRequest) -> Response:
    """Sets the named keys; others keep their values. Warns of values that are too short or common to mask."""
    state = get_state(request)
    values = _encode_values(body.data)
    for _ in range(ATTEMPTS):
        try:
            current = await _managed_secret(state, ns, name)
            if current is None:
                stored = await state.client.create(SECRETS, _new_secret(ns, name, values), namespace=ns)
            else:
                data = {**(current.get("data") or {}), **values}
                stored = await state.client.update(SECRETS, {**current, "data": data})
        except (AlreadyExistsError, ConflictError):
            continue
        warnings = [each for key, value in body.data.items() for each in _warnings(key, value.encode())]
        return JSONResponse({**_serialize_secret(stored), "warnings": warnings})
    raise ApiProblemError("conflict", f"the secret {name} is being changed by other requests; try again")


def _warnings(key: str, value: bytes) -> list[str]:
    """What is wrong with a value, and what to do."""
    found = masking_warning(key, value)
    warnings = [found] if found is not None else []
    if len(value) > MAX_FILLED_BYTES:
        warnings.append(
            f"the value of {key} has more than {MAX_FILLED_BYTES:,} bytes, and no program starts with such an "
            "environment variable: give it to steps as a file, with `file` in their `secrets`"
        )
    return warnings


@router.delete("/{name}", operation_id="deleteSecret", status_code=204, response_class=Response)
async def delete_secret(request: Request, ns: str, name: str) -> Response:
    """Deletes the secret. Runs that have started keep their copy of it."""
    state = get_state(request)
    if await _managed_secret(state, ns, name) is None:
        raise ApiProblemError("not-found", f"there is no secret {name} in the namespace {ns}")
    await state.client.delete(SECRETS, name, namespace=ns)
    return Response(status_code=204)


async def _managed_secret(state: AppState, namespace: str, name: str) -> dict[str, Any] | None:
    """The Secret; None if it does not exist. Raises a problem if it was not set through this API."""
    try:
        secret = await state.client.get(SECRETS, name, namespace=namespace)
    except NotFoundError:
        return None
    if (secret["metadata"].get("labels") or {}).get(labels.SECRET) != "true":
        detail = (
            f"the Secret {name} is not for pipelines: it was not set through c8s and lacks the label "
            f"{labels.SECRET}=true; choose another name"
        )
        raise ApiProblemError("not-a-c8s-secret", detail)
    return dict(secret)


def _encode_values(data: Mapping[str, str]) -> dict[str, str]:
    problems = [
        problem_entry("secret.key", "a key consists of letters, digits, '-', '_' and '.'", path="data")
        for key in data
        if not _KEY.fullmatch(key) or key in (".", "..")
    ]
    if problems:
        raise ApiProblemError("invalid", "a key of the secret is not valid", problems)
    try:
        raw = {key: value.encode() for key, value in data.items()}
    except UnicodeEncodeError:
        raise ApiProblemError("invalid", "a value of the secret is not valid Unicode") from None
    if sum(map(len, raw.values())) > MAX_BYTES:
        raise ApiProblemError("too-large", f"a secret holds at most {MAX_BYTES} bytes")
    return {key: base64.b64encode(value).decode() for key, value in raw.items()}


def _new_secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    secret_labels = {labels.SECRET: "true", labels.MANAGED_BY: labels.MANAGER}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace, "labels": secret_labels},
        "data": dict(values),
    }


def _serialize_secret(secret: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": secret["metadata"]["name"], "keys": sorted(secret.get("data") or {})}
