"""Every sample behaves as its first lines describe."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tests.live import C8s, parse_step_table


def run(c8s: C8s, repository: Path, *arguments: str, expect: int = 0) -> str:
    sample, *rest = arguments
    source = rest or ["--source", str(repository / "samples")]
    return c8s("run", str(repository / "samples" / sample), *source, expect=expect).stdout


def test_hello_runs_three_steps_in_sequence(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "hello.yaml")
    assert parse_step_table(out) == {"greet": "Succeeded", "look-around": "Succeeded", "goodbye": "Succeeded"}
    said = [
        line.partition("| ")[2]
        for line in out.splitlines()
        if "| " in line and "| --" not in line and "| $ " not in line
    ]
    assert said[0].startswith("Hello from step greet of run hello-")
    visible = [path for path in (repository / "samples").iterdir() if not path.name.startswith(".")]
    assert said[1].endswith(f"holds {len(visible)} entries")
    assert said[2] == "Goodbye"


def test_fan_out_runs_a_diamond_of_twelve(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "fan-out.yaml")
    table = parse_step_table(out)
    assert len(table) == 12
    assert set(table.values()) == {"Succeeded"}
    lines = [line.partition("| ")[2] for line in out.splitlines()]
    # `collect` speaks after the last line of every part.
    assert lines.index("all ten parts are done") > max(lines.index(f"part {n}, line 3") for n in range(1, 11))


def test_matrix_runs_each_combination_in_bash(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "matrix.yaml")
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    said = [line.partition("| ")[2] for line in out.splitlines()]
    for system, python in (("linux", "3.11"), ("linux", "3.12"), ("windows 11", "3.12")):
        assert f"prepared for {system}" in said
        assert f"{system} with {python}" in said


def test_failing_skips_descendants_finishes_siblings_and_exits_1(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "failing.yaml", expect=1)
    assert parse_step_table(out) == {
        "compile": "Succeeded",
        "unit-tests": "Failed",
        "docs": "Succeeded",
        "package": "Skipped",
        "publish": "Skipped",
    }
    assert "the documentation is built all the same" in out
    assert "never printed" not in out
    assert "unit-tests: line 3: src/divide.py:12: ZeroDivisionError: division by zero" in out
    assert f"enter its workspace: c8s shell {(name := out.split()[1])} unit-tests" in out
    assert c8s("shell", name, "unit-tests", "cat", "last-test.txt").stdout == "divide(1, 0)\n"


def test_artifacts_reach_downstream_steps_and_can_be_fetched(c8s: C8s, repository: Path, tmp_path: Path) -> None:
    out = run(c8s, repository, "artifacts.yaml")
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    name = out.split()[1]
    listed = json.loads(c8s("artifacts", name, "--output", "json").stdout)
    assert sorted((each["step"], each["path"]) for each in listed) == [
        ("build", "dist/docs/manual.txt"),
        ("build", "dist/program"),
        ("check", "dist/report.txt"),
    ]


def test_service_answers_its_step_and_ends_with_it(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "services.yaml")
    assert parse_step_table(out) == {"ask": "Succeeded"}
    assert "ask | the service answers" in out
    served = c8s("logs", out.split()[1], "ask", "--container", "svc-web").stdout
    assert "GET /answer.txt" in served


def test_secrets_are_masked_wherever_they_show(c8s: C8s, repository: Path) -> None:
    value = "correct horse battery staple"
    c8s("secrets", "set", "demo-login", "password", stdin=value)
    out = run(c8s, repository, "secrets.yaml")
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    assert "the password has 28 characters" in out
    assert "printed by mistake, it reads ***" in out
    assert value not in out
    assert "Y29ycmVjdCBob3JzZ" not in out
    for path in (c8s.home / "state" / "c8s" / "default" / "store").rglob("*"):
        # A temporary file may be gone by now, under another name.
        with contextlib.suppress(FileNotFoundError):
            assert path.is_dir() or value.encode() not in path.read_bytes(), path


def test_wordcount_is_linted_tested_built_and_reported(c8s: C8s, repository: Path) -> None:
    out = run(c8s, repository, "wordcount/.c8s.yaml", "--source", str(repository / "samples" / "wordcount"))
    table = parse_step_table(out)
    assert set(table.values()) == {"Succeeded"}
    assert [step for step in table if step.startswith("test")] == [
        "test (suite=counting)",
        "test (suite=text)",
        "test (suite=command)",
    ]
    assert "74 words, 45 different, in 2 files" in out


def test_demo_without_terminal_leaves_nothing_behind(fresh: C8s) -> None:
    out = fresh("demo").stdout
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    assert fresh.processes() == []
    assert list(fresh.home.iterdir()) == []


def test_demo_in_a_named_sandbox_keeps_its_run(fresh: C8s) -> None:
    fresh("demo", "--name", "mine")
    assert "fan-out-1" in fresh("runs", "--name", "mine").stdout


def test_the_projects_own_pipeline_is_valid(c8s: C8s, repository: Path) -> None:
    c8s("lint", str(repository / ".c8s.yaml"))


def test_tests_shows_a_broken_test_and_runs_only_that_again(c8s: C8s, repository: Path) -> None:
    run(c8s, repository, "tests.yaml")
    assert "3 tests, none failed" in c8s("tests", "tests-1").stdout
    out = c8s("run", str(repository / "samples/tests.yaml"), "--param", "total=41", "--no-source", expect=1).stdout
    assert parse_step_table(out) == {"unit-tests": "Failed", "publish": "Skipped"}
    assert "tests that failed: c8s tests tests-2 --failed" in out
    failed = c8s("tests", "tests-2", "--failed").stdout
    assert "✗ shop.cart › has_a_total" in failed
    assert "cart.sh:12" in failed
    assert "expected 42, got 41" in failed
    document = json.loads(c8s("tests", "tests-2", "-o", "json").stdout)
    assert [each["outcome"] for each in document["tests"]] == ["failed", "passed", "passed"]
    assert document["tests"][0]["history"] == "PF"
    fixed = ("run", str(repository / "samples/tests.yaml"), "--no-source", "--failed-tests", "tests-2")
    assert parse_step_table(c8s(*fixed).stdout) == {"unit-tests": "Succeeded", "publish": "Succeeded"}
    again = c8s("tests", "tests-3").stdout
    assert "1 test, none failed" in again
    assert "only the tests that had failed were run" in again
    refused = c8s("rerun", "tests-3", "--failed-tests", expect=1).stderr
    assert "has failed with tests that failed" in refused
