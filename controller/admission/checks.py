"""What is checked of each kind before it is stored: what its schema can't express.

What needs another object that can't be read is not refused: the operator checks again when the run starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.admission.active_runs import ActiveRuns, limit_of
from controller.admission.quota import find_misfits
from controller.admission.review import Decision, Request
from controller.forges.requests import ForgeAddressError, repository_of
from controller.kube import (
    NAMESPACES,
    PIPELINE_CONFIGS,
    RESOURCE_QUOTAS,
    SECRET_PROVIDER_CLASSES,
    KubeClient,
    KubeError,
    NotFoundError,
)
from controller.pipeline.definition import InvalidDefinitionError, validate_definition
from controller.pipeline.params import resolve_params
from controller.pipeline.run_cost import Effort, estimate_effort
from controller.secret_providers import refusal
from controller.worker import LimitedWorker, WorkLimitError

Json = Mapping[str, Any]

_log = logging.getLogger("c8s.admission")


@dataclass
class AdmissionChecks:
    """Decides about writes."""

    client: KubeClient
    active_runs: ActiveRuns
    worker: LimitedWorker = field(default_factory=LimitedWorker)

    async def decide(self, request: Request) -> Decision:
        """Whether a write may happen."""
        if request.resource == "pipelineconfigs":
            definition = _definition_of(request.name, request.obj)
            problems, warnings = await self._lint(definition)
            if not problems:
                warnings += await self._refused_providers(request.namespace, definition)
                warnings += await self._misfits(request.namespace, definition)
            return Decision(tuple(problems), warnings=tuple(warnings))
        if request.resource == "pipelineruns":
            return await self._decide_run(request)
        if request.resource == "repositoryconnections":
            return await self._decide_connection(request)
        return Decision()

    async def _decide_run(self, request: Request) -> Decision:
        spec = request.obj.get("spec") or {}
        definition = spec.get("pipeline")
        warnings: list[str] = []
        if not definition and (spec.get("pipelineConfigRef") or {}).get("name"):
            name = str(spec["pipelineConfigRef"]["name"])
            try:
                definition = _definition_of(name, await self.client.get(PIPELINE_CONFIGS, name, request.namespace))
            except NotFoundError:
                return Decision((f"there is no PipelineConfig {name} in the namespace {request.namespace}",))
            except KubeError as error:
                warnings.append(f"the pipeline was not checked: {error}")
        if definition:
            problems, more = await self._lint(definition, spec.get("params") or {})
            warnings += more
            if problems:
                return Decision(tuple(problems), warnings=tuple(warnings))
            if refused := await self._refused_providers(request.namespace, definition):
                return Decision(tuple(refused), 403, tuple(warnings))
            if misfits := await self._misfits(request.namespace, definition):
                return Decision(tuple(misfits), 403, tuple(warnings))
        refusal = await self._over_limit(request)
        return Decision((refusal,) if refusal else (), 403, tuple(warnings))

    async def _decide_connection(self, request: Request) -> Decision:
        spec = request.obj.get("spec") or {}
        try:
            if spec.get("authSecretRef") and spec.get("statuses") != "off":
                repository_of(str(spec.get("provider")), str(spec.get("repository")), str(spec.get("apiUrl") or ""))
        except ForgeAddressError as error:
            return Decision((f"its runs can't be reported to the forge: {error}, or say `statuses: off`",))
        warnings = []
        for each in spec.get("pipelines") or ():
            try:
                await self.client.get(PIPELINE_CONFIGS, str(each["name"]), request.namespace)
            except NotFoundError:
                warnings.append(f"there is no PipelineConfig {each['name']} yet: it does not run")
            except KubeError as error:
                _log.info("the pipelines of a connection were not checked: %s", error)
                break
        return Decision(warnings=tuple(warnings))

    async def _lint(self, definition: Any, params: Json | None = None) -> tuple[list[str], list[str]]:
        """(the errors of a definition and its parameters, warnings)."""
        effort = estimate_effort(definition, params)
        if effort is not Effort.PROCESS:
            return await asyncio.to_thread(find_errors, definition, params), []
        if self.worker.is_busy:
            return [], ["the pipeline was not checked: other large ones are being checked; the operator checks it"]
        try:
            return await self.worker.run(find_errors, definition, params), []
        except WorkLimitError as error:
            return [f"checking the pipeline was ended: {error}; use fewer steps, combinations or globs"], []

    async def _misfits(self, namespace: str, definition: Json) -> list[str]:
        try:
            found = await self.client.list(RESOURCE_QUOTAS, namespace)
        except KubeError as error:
            _log.info("the quotas of %s were not checked: %s", namespace, error)
            return []
        return find_misfits(definition, found["items"])

    async def _refused_providers(self, namespace: str, definition: Json) -> list[str]:
        """Why steps may not mount a SecretProviderClass. What can't be read is left to the operator."""
        found = []
        for step in definition.get("steps") or ():
            for use in step.get("secretProviders") or ():
                name = str(use.get("class"))
                try:
                    known: Any = await self.client.get(SECRET_PROVIDER_CLASSES, name, namespace)
                except NotFoundError:
                    known = None
                except KubeError as error:
                    _log.info("the SecretProviderClass %s of %s was not checked: %s", name, namespace, error)
                    continue
                if reason := refusal(name, str(use.get("secret")), known):
                    found.append(f"steps.{step.get('name')}.secretProviders: {reason}")
        return list(dict.fromkeys(found))

    async def _over_limit(self, request: Request) -> str:
        try:
            namespace = await self.client.get(NAMESPACES, request.namespace)
        except KubeError as error:
            _log.info("the limit of active runs of %s was not checked: %s", request.namespace, error)
            return ""
        limit = limit_of(namespace)
        if limit is None:
            return ""
        return self.active_runs.admit(request.namespace, request.name, limit, is_dry_run=request.is_dry_run)


def find_errors(definition: Any, params: Json | None) -> list[str]:
    """The errors of lint, and of parameters if a run is started with these."""
    if not isinstance(definition, dict):
        return ["the pipeline is no object"]
    try:
        validate_definition(definition)
    except InvalidDefinitionError as error:
        if error.diagnostics:
            return [_describe(each.path, each.message, each.hint) for each in error.diagnostics]
        return [str(each["msg"]) for each in error.model_errors]
    if params is None:
        return []
    _, wrong = resolve_params(definition.get("params") or [], dict(params))
    return [f"params.{name}: {message}" for name, message in wrong]


def _describe(path: str, message: str, hint: str) -> str:
    return f"{path}: " * bool(path) + message + f" ({hint})" * bool(hint)


def _definition_of(name: str, config: Json) -> dict[str, Any]:
    """The definition in a PipelineConfig, as the operator reads it."""
    return {"name": name, **(config.get("spec") or {})}


def resources() -> Sequence[tuple[str, tuple[str, ...]]]:
    """The kinds that are reviewed, with the operations."""
    both = ("CREATE", "UPDATE")
    # A run does not change but for what the operator fills in, and an approval.
    return (("pipelineconfigs", both), ("pipelineruns", ("CREATE",)), ("repositoryconnections", both))
