"""Builds the Job of a step's attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.capability import AgentRole
from controller.command_mark import CommandMark
from controller.operator import names
from controller.operator.run_object import is_from_fork
from controller.operator.settings import OperatorSettings
from controller.operator.workload import clone_step, debug_copies, entrypoint, provider_volumes, services
from controller.operator.workload.queueing import put_into_queue
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Cache, Pipeline
from controller.pipeline.shell import fill_commands
from controller.pipeline.values import duration
from controller.pipeline.variables import RunContext, render, step_environment, template_context

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

_JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
_UPLOAD_GRACE_SECONDS = 600
_GRACE_SECONDS = 40
_AGENT_USER = 10001
# The deadline of the pod is only a last resort: the operator measures timeouts from the start of the container.
_DEADLINE_MARGIN_SECONDS = 15 * 60
_EARLY_SECONDS = 25 * 3600
"""The operator removes a pod that has waited for a day before its step was due."""
_NOT_TO_BE_MOVED = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""A step that is moved to another node begins anew: an autoscaler is to wait until it has ended."""
_HOLDS_SECONDS = 8 * 3600
"""All holds of an attempt together, each of which has a limit of its own."""


@dataclass(frozen=True)
class JobSpec:
    """One attempt of one step of a run."""

    run: RunObject
    pipeline: Pipeline
    step: ExpandedStep
    attempt: int
    run_context: RunContext
    upstream: Sequence[str]
    """Slugs of the steps upstream that have artifacts, in the order to unpack them."""
    is_clone_step: bool = False
    """Whether it is the clone step."""
    always_has_agent: bool = False
    """Whether an agent runs beside it also if there is nothing to fetch and to store."""
    is_early: bool = False
    """Whether it is made before the step is due: its agent asks the API when it may open the gate."""
    queue: str = ""
    """The queue of the cluster that has to admit its Job; empty for none."""

    @property
    def has_fetch(self) -> bool:
        return bool(self.upstream or self.run["spec"].get("source") or self.step.step.cache or self.runs_failed_tests)

    @property
    def has_upload(self) -> bool:
        stores = self.step.step.has_artifacts or self.saves_caches or self.step.step.report_globs
        return bool(stores) or self.saves_workspace

    @property
    def runs_failed_tests(self) -> bool:
        """Whether only the tests of the step are run that failed in an earlier run."""
        failed = self.run["spec"].get("failedTests")
        steps = failed["steps"] if failed is not None else []
        return bool(self.step.step.rerun_failed) and any(each["step"] == self.step.slug for each in steps)

    @property
    def commands(self) -> list[str]:
        """What the step runs."""
        if self.runs_failed_tests:
            return [str(self.step.step.rerun_failed)]
        return fill_commands(self.step.step.commands, self.step.matrix)

    @property
    def saves_caches(self) -> bool:
        """Whether caches are saved: not by strangers, whose files later runs would restore."""
        return bool(self.step.step.cache) and not is_from_fork(self.run)

    @property
    def holds(self) -> tuple[str, ...]:
        """Where breakpoints of the run hold the step."""
        return () if self.is_clone_step else find_holds(self.run, self.step)

    @property
    def has_agent(self) -> bool:
        """Whether an agent runs beside the step."""
        needed = self.has_fetch or self.has_upload or self.holds
        return not self.is_clone_step and bool(self.always_has_agent or needed)

    @property
    def agent_roles(self) -> tuple[AgentRole, ...]:
        """The agents of the pod, each of which has a token of its own."""
        if self.is_clone_step:
            return ("source",)
        return ("step",) if self.has_agent else ()

    @property
    def saves_workspace(self) -> bool:
        """Whether the workspace is saved if the attempt fails."""
        return (
            not self.is_clone_step
            and not is_from_fork(self.run)
            and debug_copies.keeps_workspace(self.pipeline, self.step.step)
        )


def find_holds(run: RunObject, step: ExpandedStep) -> tuple[str, ...]:
    """Where breakpoints of the run hold the step."""
    own = (step.name, step.slug, step.group)
    wanted = {each.get("at", "before") for each in run["spec"].get("breakpoints") or [] if each["step"] in own}
    return tuple(sorted(wanted))


def build_job(plan: JobSpec, settings: OperatorSettings) -> Json:
    """The Job object."""
    run, expanded = plan.run, plan.step
    job_labels = names.run_labels(run) | {labels.STEP: expanded.slug, labels.ATTEMPT: str(plan.attempt)}
    early = {labels.EARLY: "true"} if plan.is_early else {}
    pod_spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _UPLOAD_GRACE_SECONDS if plan.has_upload else _GRACE_SECONDS,
        "activeDeadlineSeconds": duration.parse_duration(expanded.step.timeout) + _deadline_margin(plan),
        "securityContext": _pod_security(settings),
        "containers": [_main_container(plan, settings)],
        "volumes": clone_step.volumes(run, expanded.slug, plan.attempt) if plan.is_clone_step else _volumes(plan),
    }
    uid = {labels.RUN_UID: run["metadata"]["uid"]}
    sidecars = [] if plan.is_clone_step else _sidecars(plan, settings)
    if sidecars:
        pod_spec["initContainers"] = sidecars
    job: Json = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(run["metadata"]["name"], expanded.slug, plan.attempt),
            "namespace": run["metadata"]["namespace"],
            "labels": job_labels | early,
            "annotations": {labels.STEP_NAME: expanded.name},
            "ownerReferences": [names.owner_reference(run)],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": job_labels, "annotations": uid | _NOT_TO_BE_MOVED}, "spec": pod_spec},
        },
    }
    put_into_queue(job, plan.queue)
    return job


def _deadline_margin(plan: JobSpec) -> int:
    if plan.is_early:
        # It may be held too: breakpoints are looked at when it is due.
        return _DEADLINE_MARGIN_SECONDS + _HOLDS_SECONDS + _EARLY_SECONDS
    return _DEADLINE_MARGIN_SECONDS + (_HOLDS_SECONDS if plan.holds else 0)


def _main_container(plan: JobSpec, settings: OperatorSettings) -> Json:
    if plan.is_clone_step:
        return clone_step.container(
            plan.run,
            plan.step.slug,
            plan.attempt,
            settings,
            _agent_security(settings),
            history=any(step.git == "full" for step in plan.pipeline.steps),
        )
    return _step_container(plan, settings)


def _step_container(plan: JobSpec, settings: OperatorSettings) -> Json:
    step = plan.step.step
    container: Json = {
        "name": names.STEP_CONTAINER,
        "image": render(step.image, template_context(plan.run_context, plan.step.matrix)),
        "command": entrypoint.build_command(
            plan.commands,
            shell=step.shell or plan.pipeline.shell,
            gate=names.GATE_PIPE if plan.has_agent else "",
            reports=names.REPORT_PIPE if plan.has_agent else "",
            mark=CommandMark.of_attempt(plan.run["metadata"]["uid"], plan.step.slug, plan.attempt),
        ),
        "workingDir": names.WORKSPACE + (f"/{step.working_dir.strip('/')}" if step.working_dir else ""),
        "env": _step_environment(plan),
        "volumeMounts": _step_mounts(plan),
        "securityContext": _step_security(settings),
    }
    if step.resources:
        limits = {k: v for k, v in (("cpu", step.resources.cpu), ("memory", step.resources.memory)) if v}
        container["resources"] = {"requests": limits, "limits": limits}
    return container


def _step_environment(plan: JobSpec) -> list[Json]:
    """The environment of the step's container. A secret overrides a variable of the same name."""
    step = plan.step.step
    copied = debug_copies.debug_source(plan.run)
    variables = step_environment(
        plan.pipeline,
        step,
        plan.run_context,
        plan.step.matrix,
        # A debug copy has the variables of the attempt that it is a copy of.
        attempt=copied["attempt"] if copied is not None else plan.attempt,
        name=plan.step.name,
        workspace=names.WORKSPACE,
    )
    environment: dict[str, Json] = {
        name: {"name": name, "value": entrypoint.escape_expansion(value)} for name, value in variables.items()
    }
    secret_name = names.secrets_name(plan.run["metadata"]["name"], plan.run["metadata"]["uid"])
    for use in step.secrets:
        if use.file is None:
            name = use.env_var or use.key
            reference = {"name": secret_name, "key": names.secret_key(use)}
            environment.pop(name, None)
            environment[name] = {"name": name, "valueFrom": {"secretKeyRef": reference}}
    if plan.runs_failed_tests:
        environment["C8S_FAILED_TESTS"] = {"name": "C8S_FAILED_TESTS", "value": names.FAILED_TESTS_FILE}
    environment |= {each["name"]: each for each in provider_volumes.environment(step)}
    if any(use.file for use in step.secrets):
        environment["C8S_SECRETS"] = {"name": "C8S_SECRETS", "value": names.SECRETS_FOLDER}
    if step.git == "full" and "GIT_CONFIG_COUNT" not in environment:
        # The files belong to the agent's user, and git refuses repositories of others.
        trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": names.WORKSPACE}
        environment |= {name: {"name": name, "value": value} for name, value in trust.items()}
    return list(environment.values())


def _step_mounts(plan: JobSpec) -> list[Json]:
    mounts: list[Json] = [{"name": "workspace", "mountPath": names.WORKSPACE}]
    if any(use.file for use in plan.step.step.secrets):
        mounts.append({"name": "secrets", "mountPath": names.SECRETS_FOLDER, "readOnly": True})
    mounts += provider_volumes.mounts(plan.step.step)
    if plan.has_agent:
        # Pipes can be written on a read-only mount, and nothing else: the step can't replace or fill anything there.
        mounts.append({"name": "gate", "mountPath": names.GATE_FOLDER, "readOnly": True})
    return mounts


def _sidecars(plan: JobSpec, settings: OperatorSettings) -> list[Json]:
    """The agent first: services may use the source, and sidecars are stopped in the reverse order."""
    values = template_context(plan.run_context, plan.step.matrix)
    found = services.containers(plan.step, values, _step_security(settings))
    if not plan.has_agent:
        return found
    agent = _agent_container(plan, values, settings)
    if found and plan.has_fetch:
        agent = _with_gated_services(agent)
    return [agent, *found]


def _with_gated_services(agent: Json) -> Json:
    """The agent so that the services after it start once it has fetched what they may use."""
    fetched = f"{names.GATE_FOLDER}/fetched"
    probe = {
        # It returns at once when the file is there: a period of a second would cost half of that.
        "exec": {"command": ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done', fetched]},
        "periodSeconds": 1,
        "timeoutSeconds": 600,
        "failureThreshold": 1000,
    }
    environment = [*agent["env"], {"name": "C8S_GATED_SERVICES", "value": "1"}]
    return {**agent, "env": environment, "startupProbe": probe}


def _fetch_environment(plan: JobSpec, values: Mapping[str, str]) -> dict[str, str]:
    inputs = plan.step.step.inputs if plan.run["spec"].get("verifyInputs") else None
    only = {"C8S_INPUTS": json.dumps([render(glob, values) for glob in inputs])} if inputs is not None else {}
    return {
        **only,
        "C8S_FETCH_SOURCE": "1" if plan.run["spec"].get("source") else "0",
        "C8S_FETCH_KEPT": "1" if debug_copies.debug_source(plan.run) else "0",
        "C8S_FETCH_ARTIFACTS": ",".join(plan.upstream),
        "C8S_FETCH_GIT": "1" if plan.step.step.git == "full" else "0",
        **({"C8S_FETCH_FAILED_TESTS": "1"} if plan.runs_failed_tests else {}),
    }


def _upload_environment(plan: JobSpec, values: Mapping[str, str]) -> dict[str, str]:
    step = plan.step.step
    environment = {"C8S_ARTIFACTS": json.dumps([render(glob, values) for glob in step.artifacts])}
    if step.optional_artifacts:
        globs = [render(glob, values) for glob in step.optional_artifacts]
        environment["C8S_OPTIONAL_ARTIFACTS"] = json.dumps(globs)
    if step.report_globs:
        environment["C8S_REPORTS"] = json.dumps(step.report_globs)
    if plan.step.step.cache and not plan.saves_caches:
        environment["C8S_CACHES_READ_ONLY"] = "1"
    if plan.saves_workspace:
        environment[debug_copies.KEEP_WORKSPACE_ENV] = "1"
    return environment


def _cache_environment(wanted: Sequence[Cache], values: Mapping[str, str]) -> dict[str, str]:
    """The agent's environment for a step's caches; it renders `{{hash FILE}}` itself, because it has the file."""
    if not wanted:
        return {}
    caches = [
        {"key": render(each.key, values), "paths": [render(path, values) for path in each.paths]} for each in wanted
    ]
    return {"C8S_CACHES": json.dumps(caches)}


def _agent_container(plan: JobSpec, values: Mapping[str, str], settings: OperatorSettings) -> Json:
    environment = {
        "C8S_API_URL": settings.agent_api_url,
        "C8S_TOKEN_FILE": f"{names.TOKEN_FOLDER}/token",
        "C8S_WORKSPACE": names.WORKSPACE,
        "C8S_GATE": names.GATE_FOLDER,
        "C8S_MESSAGE_FILE": names.MESSAGE_FILE,
        "C8S_STEP_SLUG": plan.step.slug,
        "C8S_ATTEMPT": str(plan.attempt),
        **_fetch_environment(plan, values),
        **_upload_environment(plan, values),
        **_cache_environment(plan.step.step.cache, values),
        **({"C8S_HOLD": ",".join(plan.holds)} if plan.holds and not plan.is_early else {}),
    }
    variables: list[Json] = [
        {"name": name, "value": entrypoint.escape_expansion(value)} for name, value in environment.items()
    ]
    # An agent that does not know the word opens no gate; one of an earlier version would open it at once.
    role = "early-step" if plan.is_early else "step"
    if plan.is_early:
        # Kubernetes labels the pods of a Job with its uid: the gate of another Job of the same name is not its own.
        uid = {"fieldRef": {"fieldPath": f"metadata.labels['{_JOB_UID_LABEL}']"}}
        variables.append({"name": "C8S_EARLY_JOB", "valueFrom": uid})
    return {
        "name": names.AGENT_CONTAINER,
        "image": settings.agent_image,
        "command": [*(entrypoint.escape_expansion(word) for word in settings.agent_command), role],
        "restartPolicy": "Always",
        "env": variables,
        "workingDir": names.WORKSPACE,
        # It writes what it knows of the step there. When it fails, the end of its log says why.
        "terminationMessagePath": names.MESSAGE_FILE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "workspace", "mountPath": names.WORKSPACE},
            {"name": "gate", "mountPath": names.GATE_FOLDER},
            names.token_mount("step"),
        ],
        # No CPU limit: a limit was measured to make pods start four times slower.
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


def _volumes(plan: JobSpec) -> list[Json]:
    metadata = plan.run["metadata"]
    volumes: list[Json] = [{"name": "workspace", "emptyDir": {}}]
    volumes += [names.token_volume(plan.run, plan.step.slug, plan.attempt, role) for role in plan.agent_roles]
    if plan.has_agent:
        volumes.append({"name": "gate", "emptyDir": {}})
    files = [use for use in plan.step.step.secrets if use.file]
    if files:
        items = [{"key": names.secret_key(use), "path": str(use.file).strip("/")} for use in files]
        secret = names.secrets_name(metadata["name"], metadata["uid"])
        volumes.append({"name": "secrets", "secret": {"secretName": secret, "items": items}})
    return [*volumes, *provider_volumes.volumes(plan.step.step)]
