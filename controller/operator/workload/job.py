"""The Job of a step's attempt. Pure: a run and a step in, an object out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.operator import names
from controller.operator.settings import OperatorSettings
from controller.operator.workload import clone_step, debug_copies, entrypoint, services
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Cache, Pipeline
from controller.pipeline.values import duration
from controller.pipeline.variables import RunFacts, fill, step_environment, template_values

Json = dict[str, Any]

_UPLOAD_GRACE = 600
_GRACE = 40
_AGENT_USER = 10001
# The pod's own deadline is only the last resort: the operator times a step from the start of its container.
_BACKSTOP = 15 * 60


@dataclass(frozen=True)
class StepPlan:
    """One attempt of one step of a run."""

    run: Json
    pipeline: Pipeline
    step: ExpandedStep
    attempt: int
    facts: RunFacts
    upstream: Sequence[str]
    """Slugs of the steps upstream that made artifacts, in the order to unpack them."""
    clones: bool = False
    """Whether it is the step that clones the run's repository."""

    @property
    def fetches(self) -> bool:
        return bool(self.upstream or self.run["spec"].get("source") or self.step.step.cache)

    @property
    def uploads(self) -> bool:
        return bool(self.step.step.artifacts or self.step.step.cache) or self.keeps

    @property
    def keeps(self) -> bool:
        """Whether the workspace is kept if the attempt fails."""
        return not self.clones and debug_copies.keeps_workspace(self.pipeline, self.step.step)

    @property
    def tells_code(self) -> bool:
        """Whether the step's exit code is left to its agent."""
        return bool(self.step.step.cache) or self.keeps


def uses_agents(steps: Sequence[ExpandedStep], run: Json, pipeline: Pipeline) -> bool:
    """Whether any pod of the run will hold an agent."""
    return bool(run["spec"].get("source")) or any(
        step.step.artifacts or step.step.cache or debug_copies.keeps_workspace(pipeline, step.step) for step in steps
    )


def build(plan: StepPlan, settings: OperatorSettings) -> Json:
    """The Job object."""
    run, expanded = plan.run, plan.step
    labels = names.labels_of(run) | {names.STEP: expanded.slug, names.ATTEMPT: str(plan.attempt)}
    pod_spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _UPLOAD_GRACE if plan.uploads else _GRACE,
        "activeDeadlineSeconds": duration.seconds(expanded.step.timeout) + _BACKSTOP,
        "securityContext": _pod_security(settings),
        "containers": [_main_container(plan, settings)],
        "volumes": clone_step.volumes(run) if plan.clones else _volumes(plan),
    }
    uid = {names.RUN_UID: run["metadata"]["uid"]}
    agents = [] if plan.clones else _agents(plan, settings)
    if agents:
        pod_spec["initContainers"] = agents
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(run["metadata"]["name"], expanded.slug, plan.attempt),
            "namespace": run["metadata"]["namespace"],
            "labels": labels,
            "annotations": {"c8s.dev/step-name": expanded.name},
            "ownerReferences": [names.owner_of(run)],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": labels, "annotations": uid}, "spec": pod_spec},
        },
    }


def _main_container(plan: StepPlan, settings: OperatorSettings) -> Json:
    if plan.clones:
        return clone_step.container(plan.run, plan.step.slug, plan.attempt, settings, _agent_security(settings))
    return _step_container(plan, settings)


def _step_container(plan: StepPlan, settings: OperatorSettings) -> Json:
    expanded, step = plan.step, plan.step.step
    environment = step_environment(
        plan.pipeline,
        step,
        plan.facts,
        expanded.matrix,
        # A copy of a failed step has the surroundings of what it is a copy of.
        attempt=(debug_copies.copied_from(plan.run) or {}).get("attempt") or plan.attempt,
        name=expanded.name,
        workspace=names.WORKSPACE,
    )
    env: list[Json] = [{"name": name, "value": entrypoint.escaped(value)} for name, value in environment.items()]
    run_name = plan.run["metadata"]["name"]
    for use in step.secrets:
        if use.file is None:
            source = {"name": names.secrets_name(run_name), "key": names.secret_key(use)}
            variable = use.env_var or use.key
            env = [given for given in env if given["name"] != variable]
            env.append({"name": variable, "valueFrom": {"secretKeyRef": source}})
    folder = names.WORKSPACE + (f"/{step.working_dir.strip('/')}" if step.working_dir else "")
    mounts: list[Json] = [{"name": "workspace", "mountPath": names.WORKSPACE}]
    if any(use.file for use in step.secrets):
        mounts.append({"name": "secrets", "mountPath": names.SECRETS_FOLDER, "readOnly": True})
        env.append({"name": "C8S_SECRETS", "value": names.SECRETS_FOLDER})
    if plan.uploads:
        mounts.append({"name": "handoff", "mountPath": names.HANDOFF_FOLDER, "readOnly": True})
    if plan.tells_code:
        mounts.append({"name": "exit", "mountPath": names.EXIT_FOLDER})
    container: Json = {
        "name": names.STEP_CONTAINER,
        "image": fill(step.image, template_values(plan.facts, expanded.matrix)),
        "command": entrypoint.command(
            step.commands,
            wait_for=names.READY_FILE if plan.uploads else "",
            code_to=names.EXIT_FILE if plan.tells_code else "",
        ),
        "workingDir": folder,
        "env": env,
        "volumeMounts": mounts,
        "securityContext": _step_security(settings),
    }
    if step.resources:
        wanted = {k: v for k, v in (("cpu", step.resources.cpu), ("memory", step.resources.memory)) if v}
        container["resources"] = {"requests": wanted, "limits": wanted}
    return container


def _agents(plan: StepPlan, settings: OperatorSettings) -> list[Json]:
    step = plan.step.step
    agents = []
    values = template_values(plan.facts, plan.step.matrix)
    caches = _caches(step.cache, values)
    if plan.fetches:
        environment = {
            "C8S_FETCH_SOURCE": "1" if plan.run["spec"].get("source") else "0",
            "C8S_FETCH_KEPT": "1" if debug_copies.copied_from(plan.run) else "0",
            "C8S_FETCH_ARTIFACTS": ",".join(plan.upstream),
        }
        fetch = _agent(names.FETCH, environment | caches, settings)
        if caches:
            fetch["volumeMounts"].append({"name": "handoff", "mountPath": names.HANDOFF_FOLDER})
        agents.append(fetch)
    agents += services.containers(plan.step, values, _step_security(settings))
    if plan.uploads:
        environment = {
            "C8S_STEP_SLUG": plan.step.slug,
            "C8S_ATTEMPT": str(plan.attempt),
            "C8S_ARTIFACTS": json.dumps([fill(glob, values) for glob in step.artifacts]),
        }
        if plan.keeps:
            environment |= {debug_copies.KEEPS: "1", "C8S_EXIT_FILE": names.EXIT_FILE}
        upload = _agent(names.UPLOAD, {**environment, **caches, "C8S_READY_FILE": names.READY_FILE}, settings)
        upload["volumeMounts"].append({"name": "handoff", "mountPath": names.HANDOFF_FOLDER})
        if plan.tells_code:
            upload["volumeMounts"].append({"name": "exit", "mountPath": names.EXIT_FOLDER, "readOnly": True})
        agents.append({**upload, "restartPolicy": "Always"})
    return agents


def _caches(wanted: Sequence[Cache], values: Mapping[str, str]) -> dict[str, str]:
    """What agents are told of a step's caches; `{{hash FILE}}` is left to them, who have the file."""
    if not wanted:
        return {}
    told = [{"key": fill(each.key, values), "paths": [fill(path, values) for path in each.paths]} for each in wanted]
    return {
        "C8S_CACHES": json.dumps(told),
        "C8S_HANDOFF": names.HANDOFF_FOLDER,
        "C8S_EXIT_FILE": names.EXIT_FILE,
    }


def _agent(role: str, environment: dict[str, str], settings: OperatorSettings) -> Json:
    environment = {
        "C8S_API_URL": settings.agent_api_url,
        "C8S_TOKEN_FILE": f"{names.TOKEN_FOLDER}/token",
        "C8S_WORKSPACE": names.WORKSPACE,
        **environment,
    }
    return {
        "name": role,
        "image": settings.agent_image,
        "command": [*(entrypoint.escaped(word) for word in settings.agent_command), role],
        "env": [{"name": name, "value": entrypoint.escaped(value)} for name, value in environment.items()],
        "workingDir": names.WORKSPACE,
        "volumeMounts": [
            {"name": "workspace", "mountPath": names.WORKSPACE},
            {"name": "agent", "mountPath": names.TOKEN_FOLDER, "readOnly": True},
        ],
        # No CPU limit: a limit on an init container was measured to make pods start four times slower.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": _agent_security(settings),
    }


def _pod_security(settings: OperatorSettings) -> Json:
    """Of the whole pod. `restricted`: the workspace belongs to a group that all its containers are in."""
    context: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    if settings.pod_security == "restricted":
        context |= {"runAsNonRoot": True, "fsGroup": _AGENT_USER}
    return context


def _step_security(settings: OperatorSettings) -> Json:
    restricted = settings.pod_security == "restricted"
    return {"allowPrivilegeEscalation": False} | ({"capabilities": {"drop": ["ALL"]}} if restricted else {})


def _agent_security(settings: OperatorSettings) -> Json:
    """The agent has to read whatever the step's user left, of mode 0600 too: so it is root, with that right alone."""
    if settings.pod_security == "restricted":
        rights: Json = {"capabilities": {"drop": ["ALL"]}, "runAsUser": _AGENT_USER, "runAsGroup": _AGENT_USER}
    else:
        rights = {"capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}, "runAsUser": 0, "runAsGroup": 0}
    return {"allowPrivilegeEscalation": False, **rights}


def _volumes(plan: StepPlan) -> list[Json]:
    run_name = plan.run["metadata"]["name"]
    volumes: list[Json] = [{"name": "workspace", "emptyDir": {}}]
    if plan.fetches or plan.uploads:
        token = {"secretName": names.agent_secret_name(run_name), "items": [{"key": "token", "path": "token"}]}
        volumes.append({"name": "agent", "secret": {**token, "defaultMode": 0o444}})
    if plan.uploads:
        volumes.append({"name": "handoff", "emptyDir": {}})
    if plan.tells_code:
        volumes.append({"name": "exit", "emptyDir": {}})
    files = [use for use in plan.step.step.secrets if use.file]
    if files:
        items = [{"key": names.secret_key(use), "path": str(use.file).strip("/")} for use in files]
        volumes.append({"name": "secrets", "secret": {"secretName": names.secrets_name(run_name), "items": items}})
    return volumes
