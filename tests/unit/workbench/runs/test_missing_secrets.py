"""The secrets that a run would fail for are found before it starts."""

from __future__ import annotations

from typing import Any

from workbench.client.models import SecretNames
from workbench.runs.missing_secrets import (
    MissingSecret,
    missing_secrets,
    missing_secrets_text,
    missing_secrets_title,
    trigger_context,
    uses_secrets,
)

MAIN = trigger_context("push", "main")
STORED = (SecretNames("db", ("password",)),)


def step(name: str, *uses: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return {"name": name, "secrets": [{"secretRef": secret, "key": key} for secret, key in uses], **fields}


def pipeline(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shop", "steps": list(steps)}


def test_all_missing_secrets_are_found_at_once() -> None:
    definition = pipeline(step("build"), step("test", ("db", "password"), ("db", "user")), step("ship", ("ssh", "key")))
    found = missing_secrets(definition, STORED, MAIN)
    assert found == (MissingSecret("db", "user", ("test",)), MissingSecret("ssh", "key", ("ship",)))


def test_steps_that_share_a_secret_are_named_together() -> None:
    definition = pipeline(*(step(f"s{at}", ("ssh", "key")) for at in range(5)))
    (found,) = missing_secrets(definition, (), MAIN)
    assert found.used_by == "for s0, s1, s2 and 2 more steps"


def test_nothing_is_missing_if_all_keys_exist() -> None:
    assert missing_secrets(pipeline(step("test", ("db", "password"))), STORED, MAIN) == ()


def test_steps_that_may_fail_need_no_secret() -> None:
    assert missing_secrets(pipeline(step("scan", ("a", "b"), allowFailure=True)), (), MAIN) == ()


def test_steps_that_would_be_skipped_need_no_secret() -> None:
    definition = pipeline(
        step("ship", ("ssh", "key"), conditional={"branch": "release/*"}),
        step("tag", ("ssh", "key"), conditional={"event": "tag"}),
        step("docs", ("ssh", "key"), conditional={"paths": ["docs/**"]}),
    )
    assert missing_secrets(definition, (), trigger_context("push", "main", ("a.py",))) == ()


def test_conditions_on_an_unknown_branch_count_as_met() -> None:
    definition = pipeline(step("ship", ("ssh", "key"), conditional={"branch": "release/*"}))
    found = missing_secrets(definition, (), trigger_context("push", None), branch_known=False)
    assert [each.name for each in found] == ["ssh"]


def test_the_branch_of_a_tag_run_is_the_tag() -> None:
    definition = pipeline(step("ship", ("ssh", "key"), conditional={"tag": "v*"}))
    assert missing_secrets(definition, (), trigger_context("tag", "v1"))
    assert not missing_secrets(definition, (), trigger_context("tag", "w1"))


def test_reused_steps_need_no_secret() -> None:
    assert missing_secrets(pipeline(step("ship", ("ssh", "key"))), (), MAIN, reused={"ship"}) == ()


def test_each_secret_has_the_command_that_sets_it() -> None:
    missing = (MissingSecret("db", "user", ("test",)),)
    assert missing_secrets_text(missing, " --name other") == "  c8s secrets set --name other db user    # for test"
    assert missing_secrets_title(missing) == "1 secret that the run needs is missing"


def test_pipelines_without_secrets_are_recognized() -> None:
    assert not uses_secrets(pipeline(step("build")))
    assert uses_secrets(pipeline(step("ship", ("ssh", "key"))))
