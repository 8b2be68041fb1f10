"""Any pipeline, any outcomes, any order of what is seen, restarts at any moment: every run ends, and ends right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.operator.decision.actions import Action, OpenGate, StartAttempt, WithdrawJob
from controller.operator.decision.decide import Decision, decide
from controller.operator.decision.started_steps import find_settled_attempts, find_settled_steps
from controller.operator.gate import is_closed
from controller.run_types.keys import AttemptKey
from tests.unit.controller.operator.world import SETTINGS, World, step

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A pipeline, and for each step how its attempts end; the last of them stands for all further ones."""

    steps: tuple[Json, ...]
    outcomes: dict[str, tuple[str, ...]]
    max_parallel: int | None
    cancel_at: int | None
    prestart: int
    """Pods that may be made ahead."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 6))
    names = [f"s{index}" for index in range(count)]
    steps = []
    for index, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=3)) if index else []
        retries = draw(st.integers(0, 2))
        policy = {"maxRetries": retries, "backoffSeconds": draw(st.sampled_from([0, 10]))}
        steps.append(step(name, *needs, retryPolicy=policy, allowFailure=draw(st.booleans())))
    ends = st.lists(st.sampled_from(["ok", "ok", "fail", "disrupt"]), min_size=1, max_size=3).map(tuple)
    return Plan(
        tuple(draw(st.permutations(steps))),
        {name: draw(ends) for name in names},
        draw(st.one_of(st.none(), st.integers(1, 3))),
        draw(st.one_of(st.none(), st.none(), st.integers(0, 30))),
        draw(st.integers(0, 4)),
    )


class Simulation(World):
    """The world with a will of its own: what happens next is drawn."""

    def __init__(self, plan: Plan, data: st.DataObject) -> None:
        more: dict[str, Any] = {"maxParallel": plan.max_parallel} if plan.max_parallel else {}
        super().__init__(*plan.steps, prestart=plan.prestart, **more)
        self.prestartable = frozenset(each.name for each in self.steps)
        self.starts: Counter[tuple[str, int]] = Counter()
        """How often the commands of an attempt began."""
        self.plan, self.data = plan, data
        self.written: Json = {}
        self.in_flight: list[StartAttempt] = []
        """Requests whose answer nobody waits for any more; they may arrive."""
        self.late: set[tuple[str, int]] = set()
        """The attempts whose Jobs such a request has made."""
        self.away_until = 0.0
        """The API server answers nothing before that moment of the monotonic clock."""
        self.forced: set[tuple[str, int]] = set()
        """Attempts whose pods ended because they were asked to, before they had reported an end."""
        self.refused: set[tuple[str, int]] = set()
        """What waited at its gate when a request to remove it failed."""
        self.needs = {s["name"]: s["dependsOn"] for s in plan.steps}
        self.settled: frozenset[str] = frozenset()
        self.settled_attempts: frozenset[AttemptKey] = frozenset()

    def decide(self) -> Decision:
        """What is decided on all that is to be seen, which is the same as without what is settled."""
        seen = self.observation()
        views = {
            place: view
            for place, view in seen.attempts.items()
            if place[0] not in self.settled and place not in self.settled_attempts
        }
        self.seen = replace(seen, attempts=views, settled_steps=self.settled, settled_attempts=self.settled_attempts)
        known = {**self.run, "status": self.status}
        decision = decide(known, self.pipeline, self.steps, seen, self.now, SETTINGS)
        assert decide(known, self.pipeline, self.steps, self.seen, self.now, SETTINGS) == decision
        return decision

    def record(self, decision: Decision) -> None:
        self.status = decision.status
        self.settled = find_settled_steps(decision.status, self.seen)
        self.settled_attempts = find_settled_attempts(decision.status, self.seen)

    @property
    def is_away(self) -> bool:
        return self.monotonic < self.away_until

    def turn(self) -> None:
        """A look, perhaps one whose result or whose actions are lost, and something that happens in the cluster."""
        crashes = ["before writing", "amid acting", "after writing"]
        crash = self.data.draw(st.sampled_from(["no"] * 6 + ["a request fails"] * 2 + crashes))
        if not self.is_away and self.data.draw(st.sampled_from([False] * 9 + [True])):
            self.away_until = self.monotonic + self.data.draw(st.sampled_from([1, 3, 30]))
        decision, times = self.decide(), 1
        while self.act(decision, crash, may_lose=times < 4):
            # What has no Job has not started: decide again, knowing that.
            decision, times = self.decide(), times + 1
            assert times < 20, f"it goes on and on: {decision.actions}"
        if crash in ("no", "a request fails", "after writing"):
            self.record(decision)
            if not self.is_away and (self.data.draw(st.booleans()) or crash == "after writing"):
                self.written = self.status
        if crash in crashes:
            self.lose_memory()
        self.is_crowded = self.data.draw(st.sampled_from([False] * 5 + [True]))
        self.pass_time(self.data.draw(st.sampled_from([0, 1, 25])))
        self.happen()

    def lose_memory(self) -> None:
        """All is gone but the written status; the next process begins with a list of what there is."""
        self.status, self.prepared, self.manifests, self.milestones = self.written, False, {}, {}
        self.settled = self.settled_attempts = frozenset()
        self.missing_jobs, self.unanswered, self.unseen = set(), set(), set()
        self.create_failures, self.withdrawn = {}, []
        self.since = self.now

    def act(self, decision: Decision, crash: str, *, may_lose: bool) -> bool:
        """Execute what was decided, or a part of it; returns whether a Job was not made, or existed."""
        self.check_starts(decision)
        actions = list(self.data.draw(st.permutations(decision.actions)))
        if crash == "amid acting":
            actions = actions[: self.data.draw(st.integers(0, len(actions)))]
        again = False
        for action in actions:
            if isinstance(action, StartAttempt):
                again |= not self.start(action, may_lose=may_lose)
            elif not self.is_away and (crash != "a request fails" or self.data.draw(st.booleans())):
                self.execute(action)
            elif isinstance(action, WithdrawJob):
                self.refused.add((action.slug, action.number))
        return again

    def start(self, action: StartAttempt, *, may_lose: bool) -> bool:
        """Request the creation of a Job; returns whether the answer says that it was created."""
        place = (action.step.slug, action.number)
        fates = ["answered"] * 6 + ["lost", "unanswered", "late"] * may_lose
        fate = "lost" if self.is_away else self.data.draw(st.sampled_from(fates))
        existed = place in self.jobs
        if fate == "answered":
            self.execute(action)
            return not existed
        if fate == "late":
            self.in_flight.append(action)
        self.lose_answer(action, arrived=fate == "unanswered")
        return False

    def arrive(self) -> None:
        """Requests arrive late, and informers show what they did not show yet."""
        if self.in_flight and self.data.draw(st.booleans()):
            action = self.in_flight.pop()
            place = (action.step.slug, action.number)
            if place not in self.jobs and place[0] not in self.withdrawn and place not in self.started:
                self.late.add(place)
                was_known = place in self.unanswered
                self.execute(action)
                self.unseen.add(place)
                self.unanswered |= {place} if was_known else set()
        if self.unseen and not self.is_away and self.data.draw(st.booleans()):
            # The step of a Job that is seen is looked at again.
            self.settled -= {slug for slug, _ in self.unseen}
            self.settled_attempts -= self.unseen
            self.unseen.clear()

    def check_starts(self, decision: Any) -> None:
        for action in decision.actions:
            if isinstance(action, StartAttempt) and action.early:
                assert action.number == 1
                assert (action.step.slug, 1) not in self.jobs or (action.step.slug, 1) in self.unseen
            elif isinstance(action, OpenGate) or (
                isinstance(action, StartAttempt) and (action.step.slug, action.number) not in self.jobs
            ):
                for need in action.step.depends_on:
                    pods = [pod for (slug, _), pod in self.pods.items() if slug == need]
                    skipped = next(s for s in decision.status["steps"] if s["name"] == need)["phase"] == "Skipped"
                    assert pods or skipped, f"{action.step.name} begins before {need} has"
                    live = [place for place in self.pods if place[0] == need and self.has_live_pod(place)]
                    assert all(self.reports[place].code == 0 for place in live), "it has reported its success"
                slug, number = action.step.slug, action.number
                assert number == 1 or (slug, number - 1) in self.jobs, "attempts are numbered one after the other"
                live = [place for place in self.pods if place[0] == slug and self.has_live_pod(place)]
                assert live == [] or isinstance(action, OpenGate), "one at a time"

    def happen(self) -> None:
        """A log may reach its end, and any of the pods takes a step forward, or nothing does."""
        self.arrive()
        open_logs = [place for place in self.pods if not self.has_live_pod(place) and place not in self.logs]
        if open_logs and self.data.draw(st.booleans()):
            self.logs[self.data.draw(st.sampled_from(sorted(open_logs)))] = {"lines": 1}
        places = [place for place in self.jobs if place not in self.pods or self.has_live_pod(place)]
        if not places:
            return
        place = self.data.draw(st.sampled_from(sorted(places)))
        slug, number = place
        if place not in self.pods:
            self.set_pod(slug, number, phase="Pending")
        elif is_closed(self.jobs[place]):
            self.happen_at_gate(slug)
        elif place not in self.reports and self.pods[place]["spec"]["activeDeadlineSeconds"] != 1:
            self.begin(slug, number)
        elif self.pods[place]["spec"]["activeDeadlineSeconds"] == 1:
            if place not in self.reports:
                self.begin(slug, number)
            if self.reports[place].ended is None:
                self.forced.add(place)
            self.end_step(slug, self.data.draw(st.sampled_from([0, 143])), number)
        else:
            ends = self.plan.outcomes[slug]
            end = ends[min(number, len(ends)) - 1]
            if end == "disrupt" and number > 3:
                end = "fail"
            if end == "ok" and self.reports[place].ended is None and self.data.draw(st.booleans()):
                self.tell_end(slug, 0, number)
            elif end == "disrupt":
                self.disrupt(slug, number)
            else:
                self.end_step(slug, 0 if end == "ok" else 1, number)

    def execute(self, action: Action) -> None:
        if isinstance(action, WithdrawJob):
            assert self.starts[action.slug, action.number] == 0, "nothing of it ever ran"
        super().execute(action)

    def begin(self, slug: str, number: int) -> None:
        self.start_step(slug, number)
        self.starts[slug, number] += 1

    def happen_at_gate(self, slug: str) -> None:
        """A pod that waits comes up, or is evicted, or asked to end; its commands never begin."""
        if self.pods[slug, 1]["spec"]["activeDeadlineSeconds"] == 1:
            self.end_step(slug, 143)
        elif self.data.draw(st.sampled_from([True] * 5 + [False])):
            self.set_pod(slug, phase="Running", containerStatuses=[{"name": "step", "state": {"running": {}}}])
        else:
            self.disrupt(slug)

    def failed_above(self, name: str) -> bool:
        """Whether a step that may not fail has failed anywhere upstream."""
        return any(
            (self.step_status(need)["phase"] == "Failed" and not self.step_status(need)["allowFailure"])
            or self.failed_above(need)
            for need in self.needs[name]
        )

    def began_on_a_reported_success(self, name: str) -> bool:
        """Whether a step has begun because one upstream reported a success, which failed after that all the same."""
        above = [place for place in self.reports if place[0] in self.needs[name] and self.reports[place].code == 0]
        disputed = any(self.step_status(slug)["phase"] == "Failed" for slug, _ in above)
        return bool(self.step_status(name).get("attempts")) and (
            disputed or any(self.began_on_a_reported_success(need) for need in self.needs[name])
        )


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(plan=plans(), data=st.data())
def test_every_run_ends_and_ends_right(plan: Plan, data: st.DataObject) -> None:
    world = Simulation(plan, data)
    for turn in range(400):
        if turn == plan.cancel_at:
            world.cancel()
        # From some turn on nothing is drawn any more, so that hypothesis does not run out of room.
        if turn < 60:
            world.turn()
        else:
            world.unseen.clear()
            world.settled = world.settled_attempts = frozenset()
            world.reconcile()
            world.pass_time(5)
            for _ in range(3):
                finish_without_faults(world)
        if world.is_finished:
            break
    assert world.is_finished, world.status
    if plan.cancel_at is None:
        for name, phase in world.phases().items():
            assert (phase == "Skipped") == world.failed_above(name) or world.began_on_a_reported_success(name)
            assert phase in ("Succeeded", "Failed", "Skipped")
        failed = [s for s in world.status["steps"] if s["phase"] == "Failed" and not s["allowFailure"]]
        assert world.phase == ("Failed" if failed else "Succeeded")
    # What is made after the end of the run, or can't be removed for so long that the run ends all the same,
    # is deleted by the reconciler, which is not part of this.
    left = world.late | {place for place in world.refused if place in world.jobs and is_closed(world.jobs[place])}
    for entry in world.status["steps"]:
        numbers = [attempt["number"] for attempt in entry.get("attempts", [])]
        # Of the first, whose pod ended at its gate, the process may have died before it wrote that.
        first = 2 if numbers[:1] == [2] and not world.starts[entry["slug"], 1] else 1
        assert numbers == list(range(first, first + len(numbers)))
        for attempt in entry.get("attempts", []):
            assert (entry["slug"], attempt["number"]) not in world.forced or attempt["phase"] != "Succeeded"
            assert attempt.get("message") != "its Job was deleted", "nobody has deleted one"
        made = {number for slug, number in world.jobs if slug == entry["slug"] and (slug, number) not in left}
        assert made <= set(numbers)
    assert not [place for place in world.started if world.started.count(place) > 1 and place in world.jobs]
    # Of a Job whose gate was to be opened, and whose pod ended before it was, nothing can run any more.
    waiting = [place for place, job in world.jobs.items() if is_closed(job) and place not in left]
    assert not [place for place in waiting if place not in world.pods or world.has_live_pod(place)]
    assert all(times == 1 for times in world.starts.values()), world.starts


def finish_without_faults(world: Simulation) -> None:
    """Every pod goes on by one, in order."""
    for slug, number in [place for place in world.jobs if place not in world.pods or world.has_live_pod(place)]:
        place = (slug, number)
        if is_closed(world.jobs[place]):
            world.set_pod(slug, phase="Running", containerStatuses=[{"name": "step", "state": {"running": {}}}])
        elif place not in world.pods or place not in world.reports:
            world.begin(slug, number)
        else:
            ends = world.plan.outcomes[slug]
            code = 143 if world.pods[place]["spec"]["activeDeadlineSeconds"] == 1 else 0 if ends[-1] == "ok" else 1
            world.end_step(slug, code, number)
