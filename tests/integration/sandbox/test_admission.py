"""What the admission webhook answers kubectl of a sandbox, which is on by default."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.live import C8s
from tests.support.waiting import LONGEST, wait_until

pytestmark = pytest.mark.needs("kubectl")
STEP = {"name": "a", "image": "busybox:1.36", "commands": ["true"]}


def test_kubectl_refuses_what_can_not_be_right_and_shows_why(c8s: C8s) -> None:
    kubeconfig = c8s("kubeconfig").stdout.strip()

    def kubectl(*arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", "--kubeconfig", kubeconfig, *arguments],
            input=json.dumps(given) if given is not None else None,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )

    def pipeline(name: str, *steps: Any) -> Any:
        metadata = {"name": name, "namespace": "default"}
        return {
            "apiVersion": "c8s.dev/v1alpha1",
            "kind": "PipelineConfig",
            "metadata": metadata,
            "spec": {"steps": steps},
        }

    # Where the webhook is not registered yet, or does not answer in time, everything is admitted.
    def refusal() -> str:
        done = kubectl("apply", "-f", "-", given=pipeline("wrong", {**STEP, "dependsOn": ["b"]}))
        if done.returncode == 0:
            kubectl("delete", "pipelineconfig", "wrong")
        return done.stderr if done.returncode == 1 else ""

    refused = wait_until(refusal, what="the pipeline is refused")
    assert 'admission webhook "pipelineconfigs.c8s.dev" denied the request: steps[0].dependsOn' in refused
    assert kubectl("apply", "--dry-run=server", "-f", "-", given=pipeline("right", STEP)).returncode == 0
    connection = {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "RepositoryConnection",
        "metadata": {"name": "later", "namespace": "default"},
        "spec": {
            "repository": "https://git.example.org/octo/a",
            "provider": "gitea",
            "webhookSecretRef": {"name": "a"},
            "pipelines": [{"name": "later"}],
        },
    }

    def is_warned() -> bool:
        done = kubectl("apply", "--dry-run=server", "-f", "-", given=connection)
        assert done.returncode == 0
        return "Warning: there is no PipelineConfig later yet" in done.stderr

    wait_until(is_warned, what="the warning")
