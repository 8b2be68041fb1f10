"""A run and the cluster around it, as small values: what `decide` is asked about, and what carries out its answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.operator import names
from controller.operator.decision.actions import (
    Action,
    FindJob,
    PrepareSecrets,
    ReadManifest,
    ReadWorkspace,
    RemoveJob,
    StartAttempt,
    StopPod,
)
from controller.operator.decision.concurrency import group_of
from controller.operator.decision.decide import RUN_FINAL, Decision, decide
from controller.operator.decision.observation import (
    Ahead,
    AttemptView,
    Milestones,
    Observed,
    Refusal,
    is_over,
    milestones,
)
from controller.operator.decision.reuse import Reusable, inputs
from controller.operator.settings import OperatorSettings
from controller.operator.workload.clone_step import with_source_step
from controller.pipeline.graph.expand import expand
from controller.pipeline.model import Pipeline
from controller.pipeline.variables import RunFacts

Json = dict[str, Any]
Place = tuple[str, int]

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = OperatorSettings(["c8s-agent"], "http://api", b"key", log_patience=30.0)
MANIFEST = {
    "files": [{"path": "a.txt", "size": 3, "sha256": "00", "mode": 420}],
    "archive": {"size": 9, "sha256": "11"},
}


def step(name: str, *needs: str, **more: Any) -> Json:
    return {"name": name, "image": "busybox", "commands": ["true"], "dependsOn": list(needs), **more}


def run_of(steps: Iterable[Json], *, spec: Json | None = None, **pipeline: Any) -> Json:
    definition = {"version": "v1alpha1", "name": "ci", "steps": list(steps), **pipeline}
    metadata = {"name": "ci-1", "namespace": "team", "uid": "uid-1", "generation": 1, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"pipeline": definition, "branch": "main", "event": "push", **(spec or {})}}


class World:
    """One run, its Jobs and pods. `look` asks `decide` and does what it says."""

    def __init__(self, *steps: Json, spec: Json | None = None, missing: dict[str, str] | None = None, **more: Any):
        self.run = run_of(steps, spec=spec, **more)
        self.pipeline = Pipeline.model_validate(self.run["spec"]["pipeline"])
        self.steps, self.source_step = with_source_step(self.run, expand(self.pipeline))
        self.earlier: dict[str, Reusable] = {}
        """What an earlier run has, by what it is made of."""
        self.written: Json | None = None
        """The status that the API server has; by default the one that was decided last."""
        self.now = T0
        self.since = T0
        self.status: Json = {}
        self.jobs: dict[Place, Json] = {}
        self.pods: dict[Place, Json] = {}
        self.seen: dict[Place, Milestones] = {}
        self.manifests: dict[Place, Json | None] = {}
        self.stored: dict[Place, Json] = {}
        self.workspaces: dict[Place, Json | None] = {}
        self.workspace_told: dict[Place, Json] = {}
        """What agents have told of the workspaces of failed attempts."""
        self.workspaces_read: list[Place] = []
        self.open_logs: dict[Place, tuple[str, ...]] = {}
        self.refused: dict[Place, Refusal] = {}
        self.gone: set[Place] = set()
        self.held: dict[Place, str] = {}
        self.logs: dict[Place, Json] = {}
        self.prepared = False
        self.missing = missing or {}
        self.actions: tuple[Action, ...] = ()
        self.started: list[Place] = []
        self.look_again: datetime | None = None
        self.ahead: tuple[Ahead, ...] = ()
        """The runs of its concurrency group that it waits for."""
        self.runtime: Json | None = None

    # -- asking

    def observed(self) -> Observed:
        places = set(self.jobs) | set(self.pods)
        places |= {(s["slug"], a["number"]) for s in self.status.get("steps", []) for a in s.get("attempts", [])}
        views = {}
        for place in places:
            pod = self.pods.get(place)
            if pod is not None:
                self.seen[place] = milestones(pod, self.seen.get(place, Milestones()), self.now)
            views[place] = AttemptView(
                self.jobs.get(place),
                pod,
                self.seen.get(place, Milestones()),
                self.manifests.get(place),
                place in self.manifests,
                self.workspaces.get(place),
                place in self.workspaces,
                open_logs=self.open_logs.get(place, ()),
                gone=place in self.gone,
                held=self.held.get(place, ""),
                log=self.logs.get(place),
            )
        stored = self.status if self.written is None else self.written
        facts = RunFacts("ci-1", "1", "", "main", {})
        made_of = inputs(
            self.pipeline, self.steps, facts, self.run["spec"], self.status.get("source"), self.source_step
        )
        return Observed(
            views,
            self.refused,
            self.missing,
            self.prepared,
            inputs=made_of,
            reusable={name: self.earlier[digest] for name, digest in made_of.items() if digest in self.earlier},
            noted=frozenset(e["name"] for e in stored.get("steps") or [] if e.get("reused")),
            source_step=self.source_step,
            source_noted=bool(stored.get("source")),
            group=group_of(self.pipeline, facts),
            ahead=self.ahead,
            since=self.since,
            runtime=self.runtime,
        )

    def decide(self) -> Decision:
        known = {**self.run, "status": self.status}
        return decide(known, self.pipeline, self.steps, self.observed(), self.now, SETTINGS)

    def look(self) -> World:
        """Decide and act until there is nothing to do at once. Returns itself, to be asked."""
        for _ in range(20):
            decision = self.decide()
            self.status, self.actions, self.look_again = decision.status, decision.actions, decision.look_again
            for action in decision.actions:
                self.act(action)
            asked = PrepareSecrets | ReadManifest | ReadWorkspace | FindJob
            if not any(isinstance(action, asked) for action in decision.actions):
                return self
        raise AssertionError(f"it goes on and on: {self.actions}")

    def act(self, action: Action) -> None:
        match action:
            case StartAttempt():
                place = (action.step.slug, action.number)
                if place not in self.jobs:
                    self.started.append(place)
                    self.jobs[place] = self.job(place)
            case StopPod():
                next(p for p in self.pods.values() if p["metadata"]["name"] == action.name)["spec"][
                    "activeDeadlineSeconds"
                ] = 1
            case RemoveJob():
                for place in [p for p, job in self.jobs.items() if job["metadata"]["name"] == action.name]:
                    self.jobs.pop(place)
                    self.pods.pop(place, None)
            case FindJob():
                if (action.slug, action.number) not in self.jobs:
                    self.gone.add((action.slug, action.number))
            case ReadManifest():
                self.manifests[action.slug, action.number] = self.stored.get((action.slug, action.number))
            case ReadWorkspace():
                place = (action.slug, action.number)
                self.workspaces_read.append(place)
                self.workspaces[place] = self.workspace_told.get(place)
            case PrepareSecrets():
                self.prepared = True

    # -- what the cluster does

    def job(self, place: Place) -> Json:
        name = names.job_name("ci-1", *place)
        metadata = {"name": name, "namespace": "team", "uid": f"job-{name}"}
        return {"metadata": {**metadata, "creationTimestamp": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")}}

    def pod(self, slug: str, number: int = 1, *, node: str | None = "node", **status: Any) -> Json:
        """The pod of an attempt, with this status from now on."""
        metadata = {"name": f"{slug}-{number}-pod", "namespace": "team", "uid": f"pod-{slug}-{number}"}
        sidecars = [] if slug == self.source_step else [{"name": names.UPLOAD}]
        fresh: Json = {"activeDeadlineSeconds": 2700, "containers": [], "initContainers": sidecars}
        old = self.pods.get((slug, number), {"spec": fresh})
        spec = {**old["spec"], **({"nodeName": node} if node else {})}
        pod = {"metadata": metadata, "spec": spec, "status": status}
        self.pods[slug, number] = pod
        return pod

    def running(self, slug: str, number: int = 1) -> None:
        self.pod(slug, number, phase="Running", containerStatuses=[{"name": "step", "state": {"running": {}}}])

    def ended(self, slug: str, code: int = 0, number: int = 1, *, phase: str | None = None, **more: Any) -> None:
        """The step's container has ended, and its pod with it unless `phase` says otherwise."""
        state = {"terminated": {"exitCode": code, **more}}
        whole = phase or ("Succeeded" if code == 0 else "Failed")
        uploads = self.pods.get((slug, number), {}).get("status", {}).get("initContainerStatuses", [])
        self.pod(
            slug,
            number,
            phase=whole,
            containerStatuses=[{"name": "step", "state": state}],
            initContainerStatuses=uploads,
        )

    def disrupted(self, slug: str, number: int = 1) -> None:
        self.pod(slug, number, phase="Failed", reason="Evicted", message="the node was low on memory")

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def cancel(self) -> None:
        self.run["spec"]["cancel"] = True

    def do(self, slug: str, code: int = 0, number: int = 1) -> World:
        """A step begins and ends, and that is seen."""
        self.running(slug, number)
        self.look()
        self.pass_time(1)
        self.ended(slug, code, number)
        return self.look()

    # -- asking about it

    def entry(self, name: str) -> Json:
        found: Json = next(s for s in self.status["steps"] if s["name"] == name)
        return found

    def phases(self) -> dict[str, str]:
        return {s["name"]: s["phase"] for s in self.status["steps"]}

    @property
    def phase(self) -> str:
        return str(self.status["phase"])

    @property
    def over(self) -> bool:
        return self.status.get("phase") in RUN_FINAL

    def lives(self, place: Place) -> bool:
        return place in self.pods and not is_over(self.pods[place])
