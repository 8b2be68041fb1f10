"""Workflows of GitHub Actions: what becomes of triggers, jobs, matrices, services, steps and expressions."""

from __future__ import annotations

import pytest

from tests.unit.workbench.importer.conversion import REVIEWED, definition, imported, notes, steps
from workbench.importer.source import ImportFileError

CI = """
name: CI Build
on:
  push: {branches: [main, 'release/**'], tags: ['v*']}
  pull_request:
  workflow_dispatch: {inputs: {level: {default: info, description: How much, options: [info, debug]}}}
concurrency: {group: 'ci-${{ github.ref }}', cancel-in-progress: true}
env: {REGION: eu, COMMIT: '${{ github.sha }}'}
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {fetch-depth: 0}
      - uses: actions/setup-python@v5
        with: {python-version: 3.10}
      - run: pip install ruff
      - run: ruff check . --level ${{ inputs.level }}
        working-directory: src
  test:
    needs: lint
    runs-on: ${{ matrix.os }}
    timeout-minutes: 15
    strategy:
      fail-fast: false
      matrix:
        os: [ubuntu-latest, windows-latest]
        node: [20, 22]
        exclude: [{os: windows-latest, node: 20}]
    services:
      db:
        image: postgres:16
        env: {POSTGRES_PASSWORD: test}
        ports: ['5433:5432']
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: {node-version: '${{ matrix.node }}.x'}
      - uses: actions/cache@v4
        with:
          path: |
            node_modules
            ~/.npm
          key: ${{ runner.os }}-${{ hashFiles('**/package-lock.json') }}
      - run: |
          npm ci
          npm test -- --token '${{ secrets.NPM_TOKEN }}'
        env: {LEVEL: '${{ matrix.node }}', KEY: '${{ secrets.API_KEY }}'}
      - uses: actions/upload-artifact@v4
        with: {name: report, path: ./report/, if-no-files-found: error}
  deploy:
    needs: [test, lint]
    if: github.ref == 'refs/heads/main' && github.event_name == 'push'
    runs-on: ubuntu-latest
    container: alpine:3.20
    environment: production
    steps:
      - uses: aws-actions/configure-aws-credentials@v4
      - run: ./deploy
        if: always()
"""


def test_triggers_become_events_branches_and_parameters() -> None:
    found = definition(CI)
    assert found["name"] == "ci-build"
    assert found["branches"] == ["main", "release/**"]
    assert sorted(found["events"]) == ["pull_request", "push", "tag"]
    assert found["params"] == [
        {"name": "level", "default": "info", "description": "How much", "options": ["info", "debug"]}
    ]
    assert found["concurrency"] == {"group": "{{run.branch}}", "policy": "cancel-running"}


def test_job_becomes_a_step_with_the_image_of_its_language() -> None:
    lint = steps(CI)["lint"]
    assert (lint["image"], lint["git"]) == ("python:3.10", "full")
    assert lint["commands"] == [
        "pip install ruff",
        "(\ncd src\nruff check . --level $PARAM_LEVEL\n)",
    ]
    assert definition(CI)["env"] == {"REGION": "eu", "COMMIT": "{{run.commit}}"}
    assert "env" not in lint


def test_matrix_services_caches_artifacts_and_secrets_are_kept() -> None:
    test = steps(CI)["test"]
    assert test["dependsOn"] == ["lint"]
    assert test["timeout"] == "15m"
    assert test["matrix"]["dimensions"] == {"os": ["ubuntu-latest"], "node": ["20", "22"]}
    assert test["image"] == "node:{{matrix.node}}"
    assert test["services"] == [
        {"name": "db", "image": "postgres:16", "env": {"POSTGRES_PASSWORD": "test"}, "ready": {"port": 5432}}
    ]
    assert test["cache"] == [{"key": "Linux-{{hash **/package-lock.json}}", "paths": ["node_modules"]}]
    assert test["artifacts"] == ["report"]
    assert test["commands"] == [
        '(\nexport LEVEL="{{matrix.node}}"\nnpm ci\nnpm test -- --token "$NPM_TOKEN"\n)',
    ]
    assert {(each["key"], each.get("envVar")) for each in test["secrets"]} == {("NPM_TOKEN", None), ("API_KEY", "KEY")}
    assert dict(imported(CI).secrets) == {"ci-build": ("API_KEY", "NPM_TOKEN")}


def test_condition_and_container_are_kept() -> None:
    deploy = steps(CI)["deploy"]
    assert deploy["conditional"] == {"branch": "main", "event": "push"}
    assert deploy["image"] == "alpine:3.20"
    assert deploy["dependsOn"] == ["test", "lint"]


def test_what_has_no_counterpart_is_a_note_with_its_line_and_a_comment() -> None:
    found = notes(CI)
    assert "test: line 26: windows-latest left out of the matrix" in found
    assert "test: line 39: cache: only folders in the workspace can be kept" in found
    assert "deploy: line 56: `environment` has no counterpart" in found
    assert "the action aws-actions/configure-aws-credentials@v4 has no counterpart" in found
    text = imported(CI).text
    assert text.index("# line 58: the action aws-actions") < text.index("- name: deploy")


@pytest.mark.parametrize(
    ("expression", "conditional"),
    [
        ("always()", {"when": "always"}),
        ("${{ failure() && github.ref_name == 'main' }}", {"when": "failure", "branch": "main"}),
        ("startsWith(github.ref, 'refs/tags/v')", {"event": "tag", "tag": "v*"}),
        ("startsWith(github.ref, 'refs/tags/')", {"event": "tag"}),
        ("github.event_name != 'pull_request'", REVIEWED),
        ("github.event_name == 'push' || failure()", REVIEWED),
        ("github.ref == 'refs/heads/a' && github.ref == 'refs/heads/b'", REVIEWED),
        ("needs.a.outputs.changed == 'true'", REVIEWED),
        ("contains(github.event.head_commit.message, '[deploy]')", REVIEWED),
    ],
)
def test_condition_without_counterpart_keeps_the_job_from_running(expression: str, conditional: dict[str, str]) -> None:
    text = f"""
    on: [push, pull_request, release]
    jobs:
      first: {{runs-on: ubuntu-latest, steps: [{{run: make}}]}}
      a: {{needs: first, runs-on: ubuntu-latest, if: "{expression}", steps: [{{run: make}}]}}
    """
    assert steps(text)["a"]["conditional"] == conditional


def test_include_is_written_out_by_the_rules_of_github() -> None:
    text = """
    on: push
    jobs:
      a:
        runs-on: ${{ matrix.os || 'ubuntu-latest' }}
        strategy:
          matrix:
            v: [1, 2]
            include: [{v: 1, extra: x}, {v: 3}, {v: 4, os: macos-latest}]
        steps:
          - run: make ${{ matrix.v }} ${{ matrix.extra }}
          - run: t ${{ matrix.extra || format('e{0}', matrix.v) }}
      b: {needs: a, runs-on: ubuntu-latest, steps: [{run: make}]}
    """
    found = steps(text)
    assert found["b"]["dependsOn"] == ["a-1-x", "a-2", "a-3"]
    assert [found[name]["commands"] for name in ("a-1-x", "a-2", "a-3")] == [
        ["make 1 x", "t x"],
        ["make 2 ", "t e2"],
        ["make 3 ", "t e3"],
    ]
    assert "combinations for Windows or macOS are left out" in notes(text)


def test_each_run_has_a_shell_of_its_own_only_if_it_matters() -> None:
    text = """
    on: push
    jobs:
      a:
        runs-on: ubuntu-latest
        steps:
          - run: make
          - run: cd sub && make
          - {run: exit 1, continue-on-error: true}
          - {run: "print(1)", shell: python}
          - {run: Get-Item, shell: pwsh}
          - {run: only-linux, if: runner.os == 'Linux'}
          - {run: never-known, if: steps.x.outcome == 'failure'}
    """
    assert steps(text)["a"]["commands"] == [
        "make",
        "(\ncd sub && make\n)",
        "{\n(\nexit 1\n)\n} || echo 'failed, and goes on'",
        "python3 - <<'C8S_SCRIPT'\nprint(1)\nC8S_SCRIPT",
        'if [ "Linux" = Linux ]; then\nonly-linux\nfi',
    ]
    assert "left out, its shell is pwsh: Get-Item" in notes(text)
    assert "left out, its `if` has no counterpart: steps.x.outcome == 'failure' — never-known" in notes(text)


def test_files_and_variables_of_github_are_set_where_they_are_used() -> None:
    text = """
    on: push
    jobs:
      a:
        runs-on: ubuntu-latest
        steps: [{run: 'echo "$GITHUB_SHA $GITHUB_ACTOR" >> $GITHUB_OUTPUT'}, {run: 'tag ${{ steps.x.outputs.tag }}'}]
    """
    step = steps(text)["a"]
    assert step["commands"][:2] == ['export GITHUB_SHA="$C8S_COMMIT"', "export GITHUB_OUTPUT=/dev/null"]
    assert step["commands"][-1] == "tag $STEPS_X_OUTPUTS_TAG"
    assert step["env"] == {"STEPS_X_OUTPUTS_TAG": ""}
    assert "its commands use $GITHUB_ACTOR, which is not set" in notes(text)


def test_jobs_without_commands_fail_and_say_so() -> None:
    text = """
    on: push
    jobs:
      image: {runs-on: ubuntu-latest, steps: [{uses: docker/build-push-action@v6}]}
      shared: {uses: org/repo/.github/workflows/x.yml@v1, needs: image}
    """
    found = steps(text)
    assert found["image"]["commands"][-1] == found["shared"]["commands"][-1] == "exit 1"
    assert "the reusable workflow org/repo/.github/workflows/x.yml@v1 has no counterpart" in notes(text)


def test_jobs_on_other_systems_are_left_out() -> None:
    text = """
    on: push
    jobs:
      a: {runs-on: windows-2022, steps: [{run: make}]}
      b: {runs-on: ubuntu-latest, needs: a, steps: [{run: make}]}
    """
    assert list(steps(text)) == ["b"]
    assert "dependsOn" not in steps(text)["b"]
    with pytest.raises(ImportFileError, match="no job of its own that can be converted; line 4: the job a is left out"):
        imported(text.replace("ubuntu-latest", "macos-14"))


def test_value_of_a_matrix_is_no_command() -> None:
    text = """
    on: push
    jobs:
      a:
        runs-on: ubuntu-latest
        strategy: {matrix: {v: ['$(touch /tmp/x)', b]}}
        env: {V: '${{ matrix.v }}'}
        steps: [{run: 'echo ${{ matrix.v }}'}]
    """
    step = steps(text)["a"]
    assert step["commands"] == ["echo {{matrix.v}}"]
    assert step["matrix"]["dimensions"]["v"][0] == "$(touch /tmp/x)"


@pytest.mark.parametrize("on", ["[schedule]", "{release: {types: [published]}}", "workflow_dispatch", "[]"])
def test_workflow_that_no_event_starts_is_started_by_none(on: str) -> None:
    text = f"on: {on}\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: deploy}}]}}}}"
    assert definition(text)["branches"] == [REVIEWED["branch"]]
    assert "none of its events has a counterpart" in notes(text)


def test_wider_events_are_noted() -> None:
    text = """
    on: {push: {branches: [main], tags: [v1.*]}, pull_request: {branches: [dev]}}
    jobs: {a: {runs-on: ubuntu-latest, steps: [{run: make}]}}
    """
    assert sorted(definition(text)["events"]) == ["pull_request", "push", "tag"]
    assert "any tag starts a run, not only v1.*" in notes(text)
    assert "its events have different branches" in notes(text)


@pytest.mark.parametrize(
    ("group", "found"),
    [
        ("deploy", {"group": "all", "policy": "queue"}),
        ("${{ github.workflow }}", {"group": "all", "policy": "queue"}),
        (
            "${{ github.workflow }}-${{ github.head_ref || github.run_id }}",
            {"group": "{{run.branch}}", "policy": "queue"},
        ),
        ("${{ github.event.pull_request.number || github.sha }}", None),
    ],
)
def test_concurrency_is_kept_where_its_group_has_a_counterpart(group: str, found: dict[str, str] | None) -> None:
    text = f"on: push\nconcurrency: '{group}'\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: make}}]}}}}"
    assert definition(text).get("concurrency") == found
