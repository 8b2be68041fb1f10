"""Who created a run is believed only with the API's signature, for this run, when it was created."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.provenance import (
    APPROVAL_SECONDS,
    MAX_CLOCK_SKEW,
    approve,
    derive_webhook_key,
    describe_creator,
    has_full_commit,
    is_approved,
    sign_creator,
    verified_creator,
)

KEY = b"k" * 32
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
RUN: dict[str, Any] = {
    "metadata": {"name": "demo-1", "namespace": "team", "annotations": {"c8s.dev/created-by": "ann"}},
    "spec": {"pipeline": {"name": "demo", "steps": []}, "source": {"kept": {"run": "a-1", "step": "x", "attempt": 1}}},
}


def created(seconds: float = 0, key: bytes = KEY) -> dict[str, Any]:
    """The signed run as Kubernetes returns it, created so many seconds after it was signed."""
    run = copy.deepcopy(RUN)
    run["metadata"]["annotations"]["c8s.dev/creator-proof"] = sign_creator(key, run, AT)
    moment = datetime.fromtimestamp(AT + seconds, UTC).isoformat().replace("+00:00", "Z")
    run["metadata"] |= {"creationTimestamp": moment, "uid": "u", "labels": {"a": "b"}}
    run["spec"] = dict(reversed(run["spec"].items()))
    return run


def test_signed_run_proves_its_creator_also_once_cancelled() -> None:
    run = created()
    assert verified_creator(KEY, run) == "ann"
    run["spec"]["cancel"] = True
    assert verified_creator(KEY, run) == "ann"


@pytest.mark.parametrize("seconds", [-MAX_CLOCK_SKEW - 1, MAX_CLOCK_SKEW + 1, 10**6])
def test_signature_of_another_time_proves_nothing(seconds: float) -> None:
    assert verified_creator(KEY, created(seconds)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"name": "demo-2"}},
        {"metadata": {"namespace": "other"}},
        {"spec": {"pipeline": {"name": "evil", "steps": []}}},
        {"spec": {"source": {"kept": {"run": "b-1", "step": "x", "attempt": 1}}}},
        {"spec": {"triggeredBy": "cfo"}},
    ],
)
def test_signature_can_not_be_moved_to_another_run(change: dict[str, Any]) -> None:
    run = created()
    for part, fields in change.items():
        run[part] |= fields
    assert verified_creator(KEY, run) is None


@pytest.mark.parametrize("proof", [None, "", "1", ".", "x.y", "9" * 40 + ".a", "1.é", "1767323045."])
def test_malformed_proof_proves_nothing(proof: str | None) -> None:
    run = created()
    run["metadata"]["annotations"]["c8s.dev/creator-proof"] = proof
    assert verified_creator(KEY, run) is None


def test_neither_another_user_nor_another_key_is_proven() -> None:
    run = created()
    run["metadata"]["annotations"]["c8s.dev/created-by"] = "cfo"
    assert verified_creator(KEY, run) is None
    assert verified_creator(KEY, created(key=b"x" * 32)) is None
    assert verified_creator(KEY, {"metadata": {"name": "a", "namespace": "b"}, "spec": {}}) is None


@pytest.mark.parametrize(
    ("creator", "claimed", "text"),
    [
        ("ann", "ann", "ann"),
        ("ann", None, "ann"),
        ("ann", "cfo@example.org", "ann, says cfo@example.org"),
        (None, "cfo@example.org", "unknown, says cfo@example.org"),
        (None, None, "unknown"),
    ],
)
def test_claims_are_shown_as_claims(creator: str | None, claimed: str | None, text: str) -> None:
    assert describe_creator(creator, claimed) == text


DELIVERED: dict[str, Any] = {
    "trigger": {"connection": "hello", "connectionUid": "u1"},
    "source": {"git": {"url": "https://git.example.org/octo/hello"}},
    "pipelineFrom": "repository",
}


def delivered(key: bytes, user: str = "c8s-webhook", **spec: Any) -> dict[str, Any]:
    """A run that a holder of this key signed for this user."""
    run = copy.deepcopy(RUN)
    run["spec"] = {**DELIVERED, **spec}
    run["metadata"]["annotations"]["c8s.dev/created-by"] = user
    run["metadata"]["annotations"]["c8s.dev/creator-proof"] = sign_creator(key, run, AT)
    run["metadata"]["creationTimestamp"] = datetime.fromtimestamp(AT, UTC).isoformat()
    return run


def test_the_receivers_key_signs_runs_of_deliveries_and_nothing_else() -> None:
    own = derive_webhook_key(KEY)
    assert verified_creator(KEY, delivered(own)) == "c8s-webhook"
    assert verified_creator(KEY, delivered(KEY)) is None, "a user of this name is not the receiver"
    assert verified_creator(KEY, delivered(own, user="ann")) is None
    kept = {"kept": {"run": "a-1", "step": "x", "attempt": 1}}
    for more in ({"trigger": {}}, {"source": kept}, {"reuseFrom": "a-1"}, {"rerunOf": "a-1"}, {"source": None}):
        assert verified_creator(KEY, delivered(own, **more)) is None, more


def approved(**changes: Any) -> dict[str, Any]:
    run: dict[str, Any] = {"metadata": {"uid": "u1"}, "spec": {"commit": "a" * 40}}
    run["spec"]["approved"] = approve(KEY, run, "ann", AT)
    run["spec"] |= changes
    return run


def test_an_approval_holds_for_one_commit_and_one_day() -> None:
    assert is_approved(KEY, approved(), AT + APPROVAL_SECONDS)
    assert not is_approved(KEY, approved(), AT + APPROVAL_SECONDS + 1)
    assert not is_approved(KEY, approved(), AT - MAX_CLOCK_SKEW - 1)
    assert not is_approved(KEY, approved(commit="b" * 40), AT)
    assert not is_approved(KEY, {**approved(), "metadata": {"uid": "u2"}}, AT)
    assert not is_approved(b"x" * 32, approved(), AT)


@pytest.mark.parametrize("proof", ["", ".", "1", "x.y", "9" * 40 + ".a", "1.\ud800"])
def test_a_malformed_approval_is_none(proof: str) -> None:
    assert not is_approved(KEY, approved(approved={"by": "ann", "proof": proof}), AT)


@pytest.mark.parametrize(("commit", "is_full"), [("a" * 40, True), ("a" * 64, True), ("a" * 12, False), (None, False)])
def test_a_part_of_a_commit_can_not_be_approved(commit: str | None, is_full: bool) -> None:
    run = {"metadata": {"uid": "u1"}, "spec": {"commit": commit}}
    run["spec"]["approved"] = approve(KEY, run, "ann", AT)  # type: ignore[assignment]
    assert (has_full_commit(run), is_approved(KEY, run, AT)) == (is_full, is_full)
