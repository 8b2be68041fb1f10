"""Which secrets a pipeline uses, and whether they are set."""

from __future__ import annotations

from workbench.client import SecretNames
from workbench.runs.secret_list import SecretRow, secret_rows, summary, typed_value

PIPELINE = {
    "name": "shop",
    "steps": [
        {"name": "build", "secrets": [{"secretRef": "npm", "key": "token"}]},
        {"name": "test"},
        {"name": "deploy", "secrets": [{"secretRef": "ssh", "key": "key"}, {"secretRef": "npm", "key": "token"}]},
    ],
}
STORED = (SecretNames("npm", ("token", "user")), SecretNames("aws", ("id",)))


def test_the_secrets_of_the_pipeline_come_first_in_its_order() -> None:
    assert secret_rows(PIPELINE, STORED) == (
        SecretRow("npm", "token", "set", ("build", "deploy")),
        SecretRow("ssh", "key", "missing", ("deploy",)),
        SecretRow("aws", "id", "unused"),
        SecretRow("npm", "user", "unused"),
    )


def test_without_a_pipeline_all_are_listed() -> None:
    assert [row.id for row in secret_rows(None, STORED)] == ["aws/id", "npm/token", "npm/user"]


def test_the_summary_counts_what_is_missing() -> None:
    rows = secret_rows(PIPELINE, STORED)
    assert summary(rows, "shop") == "shop uses 2 secrets, 1 is missing."
    assert summary(rows[:1], "shop") == "shop uses 1 secret, which is set."
    assert summary(rows[2:], "shop") == "shop uses no secrets."


def test_many_users_are_not_all_named() -> None:
    assert SecretRow("a", "b", "set", tuple("stuvwx")).users == "s, t, u, v and 2 more"


def test_only_the_line_break_of_a_single_line_is_removed() -> None:
    assert typed_value("hunter2\n") == "hunter2"
    assert typed_value("-----BEGIN\nabc\n-----END\n") == "-----BEGIN\nabc\n-----END\n"
