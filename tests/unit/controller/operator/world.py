"""A run and the cluster around it, as small values: what `decide` is asked about, and what carries out its answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from controller import labels
from controller.operator import names
from controller.operator.cache.run_plan import find_unmet_conditions
from controller.operator.cache.timers import RunTimers
from controller.operator.decision.actions import (
    Action,
    DeleteJob,
    OpenGate,
    PrepareSecrets,
    ReadManifest,
    ReadWaiting,
    ReadWorkspace,
    StartAttempt,
    StopPod,
    VerifyJob,
    VerifyPod,
    WithdrawJob,
)
from controller.operator.decision.concurrency import concurrency_group
from controller.operator.decision.decide import Decision, decide
from controller.operator.decision.inputs.reuse import KnownInputs, ReusableStep, definition_digests, input_digests
from controller.operator.decision.observation import (
    AttemptView,
    BlockingRun,
    CreateFailure,
    EarlyPod,
    Milestones,
    Observation,
    WaitingReports,
    update_milestones,
)
from controller.operator.decision.pods.agent_report import NOTHING_REPORTED, AgentReport
from controller.operator.decision.pods.status import is_pod_finished
from controller.operator.gate import Opening, is_closed
from controller.operator.settings import OperatorSettings
from controller.operator.workload.clone_step import add_clone_step
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunContext
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_RUN_PHASES

Json = dict[str, Any]
Place = tuple[str, int]

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = OperatorSettings(["c8s-agent"], "http://api", b"key", log_timeout=30.0)
MANIFEST = {
    "files": [{"path": "a.txt", "size": 3, "sha256": "00", "mode": 420}],
    "archive": {"size": 9, "sha256": "11"},
}


def step(name: str, *needs: str, **more: Any) -> Json:
    return {"name": name, "image": "busybox", "commands": ["true"], "dependsOn": list(needs), **more}


def build_run(steps: Iterable[Json], *, spec: Json | None = None, **pipeline: Any) -> Json:
    definition = {"version": "v1alpha1", "name": "ci", "steps": list(steps), **pipeline}
    metadata = {"name": "ci-1", "namespace": "team", "uid": "uid-1", "generation": 1, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"pipeline": definition, "branch": "main", "event": "push", **(spec or {})}}


class World:
    """One run, its Jobs and pods. `reconcile` executes what `decide` returns."""

    def __init__(self, *steps: Json, spec: Json | None = None, missing: dict[str, str] | None = None, **more: Any):
        self.run = build_run(steps, spec=spec, **more)
        self.pipeline = Pipeline.model_validate(self.run["spec"]["pipeline"])
        self.steps, self.source_step = add_clone_step(self.run, expand_steps(self.pipeline))
        self.reusable: dict[str, ReusableStep] = {}
        """What an earlier run has, by what it is made of."""
        self.written_status: Json | None = None
        """The status that the API server has; by default the one that was decided last."""
        self._now, self.monotonic = T0, 1000.0
        self.timers = RunTimers()
        self.first_seen = T0
        self.status: Json = {}
        self.jobs: dict[Place, Json] = {}
        self.pods: dict[Place, Json] = {}
        self.milestones: dict[Place, Milestones] = {}
        self.reports: dict[Place, AgentReport] = {}
        """What the agents beside the steps have reported."""
        self.manifests: dict[Place, Json | None] = {}
        self.stored: dict[Place, Json] = {}
        self.workspaces: dict[Place, Json | None] = {}
        self.reported_workspaces: dict[Place, Json] = {}
        """What agents have reported of the workspaces of failed attempts."""
        self.workspaces_read: list[Place] = []
        self.open_logs: dict[Place, tuple[str, ...]] = {}
        self.create_failures: dict[Place, CreateFailure] = {}
        self.missing_jobs: set[Place] = set()
        self.podless_jobs: set[str] = set()
        self.unanswered: set[Place] = set()
        """Attempts whose Jobs may exist: the request to create one had no answer."""
        self.unseen: set[Place] = set()
        """Those whose Jobs do exist, and are not observed yet."""
        self.pod_create_errors: dict[Place, str] = {}
        self.logs: dict[Place, Json] = {}
        self.secrets_ready = False
        self.missing_secrets = missing or {}
        self.actions: tuple[Action, ...] = ()
        self.started: list[Place] = []
        self.requeue_at: datetime | None = None
        self.blocking_runs: tuple[BlockingRun, ...] = ()
        """The runs of its concurrency group that it waits for."""
        self.runtime: Json | None = None
        self.prestartable: frozenset[str] = frozenset()
        """Names of the steps whose pods may be made ahead."""
        self.files: dict[str, str] = {}
        """Of steps with `inputs`: the digest of their files."""
        self.secrets: dict[str, str] = {}
        """Of steps with secrets: the digest of their values."""
        self.is_crowded = False
        self.waiting = WaitingReports()
        self.outside: dict[Place, str] = {}
        """What attempts wait for outside of the run."""
        self.queue = ""
        """The queue of the cluster that admits the Jobs."""
        self.made_ahead: list[str] = []
        self.opened: list[str] = []
        self.withdrawn: list[str] = []
        """Slugs of steps, in order, as often as that happened."""

    # -- asking

    def observation(self) -> Observation:
        places = (set(self.jobs) | set(self.pods)) - self.unseen
        self.unanswered -= places
        recorded = {(s["slug"], a["number"]) for s in self.status.get("steps", []) for a in s.get("attempts", [])}
        views, early = {}, {}
        for place in places | recorded:
            pod, job = (None, None) if place in self.unseen else (self.pods.get(place), self.jobs.get(place))
            if job is not None and place not in recorded and is_closed(job):
                early[place[0]] = EarlyPod(job, pod, self.pod_create_errors.get(place, ""))
                continue
            if pod is not None:
                self.milestones[place] = update_milestones(pod, self.milestones.get(place, Milestones()), self.now)
            views[place] = AttemptView(
                job,
                pod,
                self.milestones.get(place, Milestones()).with_report(self.reports.get(place, NOTHING_REPORTED)),
                self.manifests.get(place),
                place in self.manifests,
                self.workspaces.get(place),
                place in self.workspaces,
                open_logs=self.open_logs.get(place, ()),
                job_missing=place in self.missing_jobs,
                pod_missing=job is not None and job["metadata"]["uid"] in self.podless_jobs,
                pod_create_error=self.pod_create_errors.get(place, ""),
                log=self.logs.get(place),
                report=self.reports.get(place, NOTHING_REPORTED),
                gate_closed=job is not None and is_closed(job),
                waiting=self.waiting.messages.get(AttemptKey(*place), ""),
            )
        stored = self.status if self.written_status is None else self.written_status
        facts = RunContext("ci-1", "1", "", "main", {})
        digests = definition_digests(self.pipeline, self.steps, facts)
        made_of = input_digests(
            self.steps,
            digests,
            self.run["spec"],
            KnownInputs(self.status.get("source"), self.source_step, self.files, self.secrets),
        )
        return Observation(
            views,
            self.create_failures,
            self.missing_secrets,
            self.secrets_ready,
            inputs=made_of,
            unmet_conditions=find_unmet_conditions(self.run, self.steps),
            reusable={name: self.reusable[digest] for name, digest in made_of.items() if digest in self.reusable},
            recorded_reuse=frozenset(e["name"] for e in stored.get("steps") or [] if e.get("reused")),
            source_step=self.source_step,
            source_recorded=bool(stored.get("source")),
            group=concurrency_group(self.pipeline, facts),
            blocking_runs=self.blocking_runs,
            early=early,
            unanswered=frozenset(AttemptKey(*place) for place in self.unanswered),
            prestartable=self.prestartable - {step.name for step in self.steps if step.slug in self.withdrawn},
            is_crowded=self.is_crowded,
            waiting=self.waiting,
            first_seen=self.first_seen,
            runtime=self.runtime,
            monotonic=self.monotonic,
            elapsed=self.timers.elapsed(self.monotonic),
        )

    def decide(self) -> Decision:
        known = {**self.run, "status": self.status}
        return decide(known, self.pipeline, self.steps, self.observation(), self.now, SETTINGS)

    def reconcile(self) -> World:
        """Decide and act until there is nothing to do at once. Returns itself, to be asked."""
        for _ in range(20):
            decision = self.decide()
            self.status, self.actions, self.requeue_at = decision.status, decision.actions, decision.requeue_at
            self.timers.observe(self.status, self.now, self.monotonic)
            for action in decision.actions:
                self.execute(action)
            asked = PrepareSecrets | ReadManifest | ReadWaiting | ReadWorkspace | VerifyJob | VerifyPod | WithdrawJob
            if not any(isinstance(action, asked) for action in decision.actions):
                return self
        raise AssertionError(f"it goes on and on: {self.actions}")

    def execute(self, action: Action) -> None:
        match action:
            case StartAttempt():
                place = (action.step.slug, action.number)
                if place not in self.jobs:
                    self.jobs[place] = self.job(place)
                    if action.early:
                        self.made_ahead.append(action.step.slug)
                        self.jobs[place]["metadata"]["labels"] = {labels.EARLY: "true"}
                    else:
                        self.started.append(place)
                self.observe_job(place)
            case OpenGate():
                self.opened.append(action.step.slug)
                job = self.jobs[action.step.slug, action.number]
                assert (job["metadata"]["name"], job["metadata"]["uid"]) == (action.name, action.uid)
                job["metadata"]["annotations"] = {labels.OPENED: Opening(self.now).encode()}
            case WithdrawJob():
                self.withdrawn.append(action.slug)
                job = self.jobs.pop((action.slug, action.number))
                assert is_closed(job)
                assert (job["metadata"]["uid"], job["metadata"]["resourceVersion"]) == (
                    action.uid,
                    action.resource_version,
                )
                for known in (self.pods, self.reports, self.milestones):
                    known.pop((action.slug, action.number), None)  # type: ignore[attr-defined]
            case StopPod():
                next(p for p in self.pods.values() if p["metadata"]["name"] == action.name)["spec"][
                    "activeDeadlineSeconds"
                ] = 1
            case DeleteJob():
                for place in [p for p, job in self.jobs.items() if job["metadata"]["name"] == action.name]:
                    self.jobs.pop(place)
                    self.pods.pop(place, None)
            case VerifyJob():
                self.observe_job((action.slug, action.number))
            case VerifyPod():
                # It has none: what `pods` has is seen.
                self.podless_jobs.add(action.job_uid)
            case ReadManifest():
                self.manifests[action.slug, action.number] = self.stored.get((action.slug, action.number))
            case ReadWorkspace():
                place = (action.slug, action.number)
                self.workspaces_read.append(place)
                self.workspaces[place] = self.reported_workspaces.get(place)
            case ReadWaiting():
                keys = [each[0] for each in (*action.suspended, *action.pending)]
                messages = {key: self.outside.get((key.slug, key.number), "") for key in keys}
                self.waiting = WaitingReports(messages, frozenset(keys), self.monotonic)
            case PrepareSecrets():
                self.secrets_ready = True

    def observe_job(self, place: Place) -> None:
        """The API server has answered whether the Job of an attempt exists."""
        self.unanswered.discard(place)
        self.unseen.discard(place)
        if place in self.jobs:
            self.create_failures.pop(place, None)
            self.missing_jobs.discard(place)
        else:
            self.missing_jobs.add(place)

    def lose_answer(self, action: StartAttempt, *, arrived: bool) -> None:
        """No answer comes to the creation of a Job, whether or not the request arrived."""
        place = (action.step.slug, action.number)
        if arrived and place not in self.jobs:
            self.execute(action)
            self.unseen.add(place)
        self.unanswered.add(place)
        if not action.early:
            self.create_failures[place] = CreateFailure("NotCreated", "no answer", False, self.monotonic + 0.5)

    # -- what the cluster does

    def job(self, place: Place) -> Json:
        name = names.job_name("ci-1", *place)
        metadata = {"name": name, "namespace": "team", "uid": f"job-{name}", "resourceVersion": "1"}
        job: Json = {"metadata": {**metadata, "creationTimestamp": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        return job | {"spec": {"suspend": True}} if self.queue else job

    def admit(self, slug: str, number: int = 1) -> None:
        """The queue admits the Job of an attempt."""
        job = self.jobs[slug, number]
        since = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        job["spec"] = {"suspend": False}
        job["status"] = {"conditions": [{"type": "Suspended", "status": "False", "lastTransitionTime": since}]}

    def set_pod(self, slug: str, number: int = 1, *, node: str | None = "node", **status: Any) -> Json:
        """The pod of an attempt, with this status from now on."""
        metadata = {"name": f"{slug}-{number}-pod", "namespace": "team", "uid": f"pod-{slug}-{number}"}
        sidecars = [] if slug == self.source_step else [{"name": names.AGENT_CONTAINER}]
        fresh: Json = {"activeDeadlineSeconds": 2700, "containers": [], "initContainers": sidecars}
        old = self.pods.get((slug, number), {"spec": fresh})
        spec = {**old["spec"], **({"nodeName": node} if node else {})}
        pod = {"metadata": metadata, "spec": spec, "status": status}
        self.pods[slug, number] = pod
        return pod

    def start_step(self, slug: str, number: int = 1) -> None:
        self.reports[slug, number] = AgentReport(began=self.now)
        self.set_pod(slug, number, phase="Running", containerStatuses=[{"name": "step", "state": {"running": {}}}])

    def tell_end(self, slug: str, code: int = 0, number: int = 1, *, stored: bool | None = None) -> None:
        """The first process of the step tells its end, and the kubelet has not noticed it."""
        began = self.reports[slug, number].began
        self.reports[slug, number] = AgentReport(began, self.now, code, stored)

    def end_step(self, slug: str, code: int = 0, number: int = 1, *, phase: str | None = None, **more: Any) -> None:
        """The step's container has ended, and its pod with it unless `phase` says otherwise."""
        self.reports.setdefault((slug, number), AgentReport(began=self.now))
        state = {"terminated": {"exitCode": code, **more}}
        whole = phase or ("Succeeded" if code == 0 else "Failed")
        uploads = self.pods.get((slug, number), {}).get("status", {}).get("initContainerStatuses", [])
        self.set_pod(
            slug,
            number,
            phase=whole,
            containerStatuses=[{"name": "step", "state": state}],
            initContainerStatuses=uploads,
        )

    def disrupt(self, slug: str, number: int = 1) -> None:
        self.set_pod(slug, number, phase="Failed", reason="Evicted", message="the node was low on memory")

    @property
    def now(self) -> datetime:
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        """Time passes until that moment, on both clocks."""
        self.monotonic += (moment - self._now).total_seconds()
        self._now = moment

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def set_clock(self, seconds: float) -> None:
        """The wall clock alone jumps: it was set, or the machine was suspended."""
        self._now += timedelta(seconds=seconds)

    def cancel(self) -> None:
        self.run["spec"]["cancel"] = True

    def run_step(self, slug: str, code: int = 0, number: int = 1) -> World:
        """A step begins and ends, and that is seen."""
        self.start_step(slug, number)
        self.reconcile()
        self.pass_time(1)
        self.end_step(slug, code, number)
        return self.reconcile()

    # -- asking about it

    def step_status(self, name: str) -> Json:
        found: Json = next(s for s in self.status["steps"] if s["name"] == name)
        return found

    def phases(self) -> dict[str, str]:
        return {s["name"]: s["phase"] for s in self.status["steps"]}

    @property
    def phase(self) -> str:
        return str(self.status["phase"])

    @property
    def is_finished(self) -> bool:
        return self.status.get("phase") in FINAL_RUN_PHASES

    def has_live_pod(self, place: Place) -> bool:
        return place in self.pods and not is_pod_finished(self.pods[place])
