"""Builds the observation that a decision about a run is based on, and starts the collection of its logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from controller.operator import names
from controller.operator.agent_messages import failure_reason, runtime_error
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.cache.run_state import RunState
from controller.operator.decision.observation import AttemptView, BlockingRun, EarlyPod, Milestones, Observation
from controller.operator.decision.pods.agent_report import agent_end, agent_fetch_failure, read_report
from controller.operator.decision.pods.capacity import unschedulable_reason
from controller.operator.decision.pods.status import container_status, started_containers
from controller.operator.gate import is_closed
from controller.operator.interfaces import AttemptLogs
from controller.operator.prestart import find_prestartable
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.keys import AttemptKey, RunKey

if TYPE_CHECKING:
    from controller.run_types.objects import LogSummary, ResourceUsage, RunObject

Json = dict[str, Any]


def _recorded_attempts(state: RunState) -> list[AttemptKey]:
    """The attempts in the status, without those of settled steps."""
    return [
        AttemptKey(step["slug"], attempt["number"])
        for step in state.status.current.get("steps") or []
        if step["slug"] not in state.observed.settled_steps
        for attempt in step.get("attempts") or []
    ]


class ObservationBuilder:
    """Observes runs through the cache and the log collector."""

    def __init__(
        self,
        cache: ResourceCache,
        logs: AttemptLogs,
        monotonic: Callable[[], float],
        settings: OperatorSettings,
        usage: Callable[[str], Mapping[AttemptKey, ResourceUsage]] = lambda _: {},
    ) -> None:
        self._usage = usage
        self._settings = settings
        self._monotonic = monotonic
        self._cache = cache
        self._logs = logs

    def build(self, key: RunKey, run: RunObject, state: RunState, blocking_runs: Sequence[BlockingRun]) -> Observation:
        """Everything that is known of a run besides the run itself."""
        plan, observed, server = state.plan, state.observed, state.status.server
        monotonic = self._monotonic()
        digests = state.input_digests(run["spec"])
        offered = state.reusable or {}
        views, early = self._views(key, state)
        observed.early_count = len(early)
        if early:
            self._cache.something_early.set()
        return Observation(
            attempts=views,
            early=early,
            prestartable=self._prestartable(run, state),
            waiting=observed.waiting,
            unread_secrets=self._unread_secrets(key, state),
            is_crowded=self._cache.room.is_crowded(key, monotonic),
            create_failures=observed.create_failures,
            unanswered=frozenset(observed.unanswered),
            missing_secrets=state.secrets.missing,
            secrets_ready=state.secrets.ready,
            prepare_error=state.secrets.error,
            unschedulable=self._unschedulable(plan.steps),
            inputs=digests,
            reusable={name: offered[digest] for name, digest in digests.items() if digest in offered}
            if offered
            else {},
            recorded_reuse=frozenset(step["name"] for step in server.get("steps") or [] if step.get("reused")),
            source_step=plan.source_step,
            source_recorded=bool(server.get("source")),
            unmet_conditions=plan.unmet_conditions,
            group=plan.group,
            blocking_runs=tuple(blocking_runs),
            first_seen=state.first_seen,
            monotonic=monotonic,
            elapsed=state.timers.elapsed(monotonic),
            creator=state.creator,
            runtime=self._cache.runtime,
            is_unresolved=plan.is_unresolved,
            verdict=state.verdict,
            settled_steps=observed.settled_steps,
            settled_attempts=observed.settled_attempts,
        )

    def _prestartable(self, run: RunObject, state: RunState) -> frozenset[str]:
        if state.queue:
            # A pod that waits at its gate would hold quota of the queue that the steps before it wait for.
            return frozenset()
        if state.prestartable is None:
            state.prestartable = find_prestartable(run, state.plan, self._settings)
        if not state.observed.not_early:
            return state.prestartable
        refused = {step.name for step in state.plan.steps if step.slug in state.observed.not_early}
        return state.prestartable - refused

    def _unschedulable(self, steps: Sequence[ExpandedStep]) -> dict[str, str]:
        nodes = self._cache.nodes
        reasons = {
            step.name: unschedulable_reason(step.step, nodes) for step in steps if step.step.resources is not None
        }
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _views(self, key: RunKey, state: RunState) -> tuple[dict[AttemptKey, AttemptView], dict[str, EarlyPod]]:
        """What is known of the attempts of all steps that are not settled, and of what was made ahead, by slug."""
        observed, owned = state.observed, self._cache.owned
        for created in observed.created_jobs.values():
            # Its pod may be known before the informer has the Job.
            owned.recognize_job(key, created)
        pods = owned.pods(key, state.uid, observed.withdrawn_jobs)
        # One of them may be in the log of another step.
        may_mask = state.secrets.ready and not self._unread_secrets(key, state)
        provided = [value for values in state.provided.values() for value in values.values() if value]
        jobs = observed.created_jobs | owned.jobs(key, state.uid, observed.withdrawn_jobs)
        observed.unanswered -= {*jobs, *pods}
        open_steps = {step.slug for step in state.plan.steps} - set(observed.settled_steps)
        views: dict[AttemptKey, AttemptView] = {}
        early: dict[str, EarlyPod] = {}
        recorded = dict.fromkeys(_recorded_attempts(state))
        for attempt in {**jobs, **pods, **recorded}:
            pod, job = pods.get(attempt), jobs.get(attempt)
            if job is not None and attempt not in recorded and self._is_closed(state, job):
                early[attempt.slug] = EarlyPod(job, pod, self._cache.pod_create_error(job))
                continue
            if attempt.slug not in open_steps or attempt in observed.settled_attempts:
                continue
            if pod is None:
                views[attempt] = self._view_without_pod(state, attempt, job)
                continue
            # Of all steps: one may have written its secret to a file that another one prints.
            secrets = [
                value for name, value in state.secrets.values.items() if value and names.is_confidential(name, value)
            ]
            secrets += provided
            if may_mask:
                self._follow_logs(key, state, attempt, pod, secrets)
            views[attempt] = self._view(key, state, attempt, job, pod, secrets)
        return views, early

    def _unread_secrets(self, key: RunKey, state: RunState) -> dict[AttemptKey, tuple[str, ...]]:
        """The attempts that have started with a SecretProviderClass -> the Secrets of it, before they are read."""
        uses = {step.slug: step.step.secret_providers for step in state.plan.steps if step.step.secret_providers}
        if not uses:
            return {}
        pods = self._cache.owned.pods(key, state.uid, state.observed.withdrawn_jobs)
        return {
            attempt: tuple(use.secret for use in uses[attempt.slug])
            for attempt, pod in pods.items()
            if attempt.slug in uses and attempt not in state.provided and started_containers(pod)
        }

    @staticmethod
    def _is_closed(state: RunState, job: Json) -> bool:
        """Whether the gate of a Job is closed, as far as the informer or this process knows."""
        return is_closed(job) and job["metadata"]["uid"] not in state.observed.opened_jobs

    def _view_without_pod(self, state: RunState, attempt: AttemptKey, job: Json | None) -> AttemptView:
        return AttemptView(
            job=job,
            manifest=state.observed.manifests.get(attempt),
            manifest_read=attempt in state.observed.manifests,
            gate_closed=job is not None and self._is_closed(state, job),
            job_missing=attempt in state.observed.missing_jobs,
            pod_missing=job is not None and job["metadata"]["uid"] in state.observed.podless_jobs,
            waiting=state.observed.waiting.messages.get(attempt, ""),
            pod_create_error=self._cache.pod_create_error(job) if job is not None else "",
        )

    def _view(
        self, key: RunKey, state: RunState, attempt: AttemptKey, job: Json | None, pod: Json, secrets: list[bytes]
    ) -> AttemptView:
        observed, report = state.observed, read_report(job, pod)
        logs = {name: self._log_summary(key, state, attempt, name) for name in started_containers(pod)}
        return AttemptView(
            job=job,
            pod=pod,
            milestones=observed.milestones.get(pod["metadata"]["uid"], Milestones()).with_report(report),
            manifest=observed.manifests.get(attempt),
            manifest_read=attempt in observed.manifests,
            workspace=observed.workspaces.get(attempt),
            workspace_read=attempt in observed.workspaces,
            log=logs.get(names.STEP_CONTAINER),
            agent_error=self._agent_error(key, state, pod, secrets),
            runtime_error=self._runtime_error(key, state, pod, secrets),
            report=report,
            waiting=observed.waiting.messages.get(attempt, ""),
            usage=self._usage(state.uid).get(attempt),
            gate_closed=job is not None and self._is_closed(state, job),
            open_logs=tuple(name for name, log in logs.items() if log is None),
        )

    def _runtime_error(self, key: RunKey, state: RunState, pod: Json, secrets: list[bytes]) -> str | None:
        if not state.secrets.ready or self._unread_secrets(key, state):
            return None
        state_of = (container_status(pod, names.STEP_CONTAINER) or {}).get("state") or {}
        return runtime_error(state_of, lambda text: self._logs.mask(key.namespace, state.uid, text, secrets))

    def _agent_error(self, key: RunKey, state: RunState, pod: Json, secrets: list[bytes]) -> str:
        if not state.secrets.ready or self._unread_secrets(key, state):
            return ""
        return failure_reason(
            agent_fetch_failure(pod) or agent_end(pod),
            lambda text: self._logs.mask(key.namespace, state.uid, text, secrets),
        )

    def _log_summary(self, key: RunKey, state: RunState, attempt: AttemptKey, container: str) -> LogSummary | None:
        return self._logs.result(
            namespace=key.namespace,
            run_uid=state.uid,
            slug=attempt.slug,
            attempt=attempt.number,
            container=container,
        )

    def _follow_logs(self, key: RunKey, state: RunState, attempt: AttemptKey, pod: Json, secrets: list[bytes]) -> None:
        for container in started_containers(pod):
            self._logs.follow(
                namespace=key.namespace,
                run_uid=state.uid,
                slug=attempt.slug,
                attempt=attempt.number,
                container=container,
                pod=pod["metadata"]["name"],
                pod_uid=pod["metadata"]["uid"],
                secrets=secrets,
            )
