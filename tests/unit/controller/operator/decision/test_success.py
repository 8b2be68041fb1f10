"""When an attempt has succeeded: never because its container ended with exit code 0 alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from controller.operator.decision.observation import AttemptView
from controller.operator.decision.pod_verdict import evaluate_pod

Json = dict[str, Any]

BEFORE, ENDED, AFTER = "2026-11-23T07:45:10Z", "2026-11-23T07:45:18Z", "2026-11-23T07:45:30Z"
MANIFEST = {"files": []}


@dataclass(frozen=True)
class PodFacts:
    """What a pod shows of an attempt; times are those of a request to end it."""

    exit_code: int | None = 0
    reason: str = "Completed"
    phase: str = "Succeeded"
    pod_reason: str = ""
    agent_code: int | None = None
    deleted_at: str | None = None
    disrupted_at: str | None = None
    artifacts: bool = False
    stored: bool = False

    def pod(self) -> Json:
        own: Json = {"reason": self.reason, "finishedAt": ENDED}
        if self.exit_code is not None:
            own["exitCode"] = self.exit_code
        status: Json = {
            "phase": self.phase,
            "containerStatuses": [{"name": "step", "state": {"terminated": own}}],
            "initContainerStatuses": []
            if self.agent_code is None
            else [{"name": "agent", "state": {"terminated": {"exitCode": self.agent_code, "finishedAt": ENDED}}}],
        }
        if self.pod_reason:
            status["reason"] = self.pod_reason
        if self.disrupted_at:
            target = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": self.disrupted_at}
            status["conditions"] = [target]
        metadata: Json = {"uid": "1"}
        if self.deleted_at:
            metadata |= {"deletionTimestamp": self.deleted_at, "deletionGracePeriodSeconds": 0}
        spec = {"containers": [{"name": "step"}], "initContainers": [{"name": "agent"}]}
        return {"metadata": metadata, "spec": spec, "status": status}

    def verdict(self) -> tuple[str | None, str]:
        manifest = MANIFEST if self.stored else None
        view = AttemptView(pod=self.pod(), manifest=manifest, manifest_read=True)
        found = evaluate_pod(view, artifacts=self.artifacts, memory_limit=None)
        return found.phase, found.reason

    @property
    def may_succeed(self) -> bool:
        """The rule, written down again."""
        killed = self.exit_code != 0 or self.reason == "OOMKilled" or bool(self.pod_reason) or self.phase == "Failed"
        forced = BEFORE in (self.deleted_at, self.disrupted_at)
        is_over = self.agent_code == 0 or (self.agent_code is None and self.phase == "Succeeded")
        return not killed and not forced and self.agent_code != 3 and (not self.artifacts or (self.stored and is_over))


def test_success_needs_every_one_of_its_conditions() -> None:
    values = (
        (None, 0, 1),
        ("Completed", "OOMKilled"),
        ("Running", "Succeeded", "Failed"),
        ("", "Evicted", "DeadlineExceeded"),
        (None, 0, 3, 137),
        (None, BEFORE, AFTER),
        (None, BEFORE, AFTER),
        (False, True),
        (False, True),
    )
    for combination in itertools.product(*values):
        facts = PodFacts(*combination)
        assert (facts.verdict()[0] == "Succeeded") is facts.may_succeed, facts


@pytest.mark.parametrize(
    ("facts", "phase", "reason"),
    [
        (PodFacts(), "Succeeded", "Succeeded"),
        (PodFacts(phase="Running"), "Succeeded", "Succeeded"),
        (PodFacts(deleted_at=AFTER), "Succeeded", "Succeeded"),
        (PodFacts(reason="OOMKilled"), "Failed", "OOMKilled"),
        (PodFacts(137, "OOMKilled", "Failed"), "Failed", "OOMKilled"),
        (PodFacts(phase="Failed", pod_reason="Evicted"), "Failed", "Disrupted"),
        (PodFacts(phase="Failed", pod_reason="DeadlineExceeded"), "Failed", "Timeout"),
        (PodFacts(phase="Failed"), "Failed", "PodFailed"),
        (PodFacts(phase="Failed", pod_reason="OutOfpods"), "Failed", "OutOfpods"),
        (PodFacts(121, phase="Failed", agent_code=3), "Failed", "FetchFailed"),
        (PodFacts(deleted_at=BEFORE), "Failed", "Disrupted"),
        (PodFacts(deleted_at=ENDED), "Failed", "Disrupted"),
        (PodFacts(disrupted_at=BEFORE), "Failed", "Disrupted"),
        (PodFacts(exit_code=None), "Failed", "PodFailed"),
        (PodFacts(artifacts=True, agent_code=0, stored=True), "Succeeded", "Succeeded"),
        (PodFacts(artifacts=True, agent_code=0, stored=False), "Failed", "ArtifactUploadFailed"),
        (PodFacts(artifacts=True, agent_code=137, stored=True), "Failed", "ArtifactUploadFailed"),
        (PodFacts(artifacts=True, agent_code=0, stored=True, phase="Failed"), "Failed", "PodFailed"),
        (PodFacts(artifacts=True, phase="Running", stored=True), None, "Uploading"),
    ],
)
def test_exit_code_and_pod_decide_together(facts: PodFacts, phase: str | None, reason: str) -> None:
    assert facts.verdict() == (phase, reason)


def test_the_end_of_a_service_after_the_step_changes_nothing() -> None:
    pod = PodFacts().pod()
    pod["status"]["initContainerStatuses"] = [{"name": "svc-db", "state": {"terminated": {"exitCode": 137}}}]
    assert evaluate_pod(AttemptView(pod=pod), artifacts=False, memory_limit=None).phase == "Succeeded"


def test_a_service_that_failed_its_pod_fails_the_step() -> None:
    pod = PodFacts(phase="Failed").pod()
    pod["status"]["initContainerStatuses"] = [{"name": "svc-db", "state": {"terminated": {"exitCode": 137}}}]
    found = evaluate_pod(AttemptView(pod=pod), artifacts=False, memory_limit=None)
    assert (found.phase, found.exit_code) == ("Failed", 0)
    assert "its commands succeeded, but its pod failed" in found.message
