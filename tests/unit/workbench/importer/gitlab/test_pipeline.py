"""Pipelines of GitLab: stages, inheritance, variables, rules, and the keywords of jobs."""

from __future__ import annotations

import pytest

from tests.unit.workbench.importer.conversion import REVIEWED, definition, imported, notes, steps
from workbench.importer.convert import import_pipeline
from workbench.importer.source import ImportFileError

CI = """
stages: [build, test, deploy]
variables:
  APP: shop
  TAG: "$APP-$CI_COMMIT_SHORT_SHA"
  PYTHON: "3.12"
default:
  image: python:$PYTHON
  before_script: [echo setup]
include: {local: other.yml}

.base:
  retry: 1
  variables: {LEVEL: info}
  cache: {key: {files: [poetry.lock], prefix: $CI_COMMIT_REF_SLUG}, paths: [.venv/]}

.scripts:
  login: [echo login, echo in]

build:
  extends: .base
  stage: build
  script:
    - !reference [.scripts, login]
    - make $TAG
  artifacts: {paths: [dist/, $APP.txt], expire_in: 1 day, reports: {junit: report.xml}}

unit test:
  extends: .base
  variables: {LEVEL: debug}
  parallel: {matrix: [{DB: [sqlite, postgres], OS: [a]}]}
  script: [test $DB]
  services: [{name: "postgres:$PG", alias: db, variables: {POSTGRES_PASSWORD: x}}, redis:7]
  timeout: 1h 30m
  allow_failure: true

lint: {stage: test, needs: [], image: {name: alpine:3.20, entrypoint: [""]}, before_script: [], script: ./lint}

deploy:
  stage: deploy
  script: deploy --key $DEPLOY_KEY
  after_script: [rm key]
  environment: production
  only: [main]
"""


def test_stages_and_needs_become_dependencies() -> None:
    found = steps(CI)
    assert "dependsOn" not in found["build"]
    assert found["unit-test"]["dependsOn"] == ["build"]
    assert "dependsOn" not in found["lint"]
    assert found["deploy"]["dependsOn"] == ["unit-test", "lint"]


def test_defaults_extends_and_references_are_filled_in() -> None:
    build = steps(CI)["build"]
    assert build["image"] == "python:3.12"
    assert build["retryPolicy"]["maxRetries"] == 1
    assert build["commands"] == [
        'export CI_COMMIT_SHORT_SHA="$(printf %.8s "$C8S_COMMIT")"',
        'export TAG="$APP-$CI_COMMIT_SHORT_SHA"',
        "echo setup",
        "echo login",
        "echo in",
        "make $TAG",
    ]
    assert definition(CI)["env"] == {"APP": "shop", "PYTHON": "3.12"}
    assert build["env"] == {"LEVEL": "info"}
    assert build["cache"] == [{"key": "{{hash poetry.lock}}", "paths": [".venv"]}]
    assert sorted(build["optionalArtifacts"]) == ["dist", "report.xml", "shop.txt"]


def test_matrix_services_and_limits_are_kept() -> None:
    test = steps(CI)["unit-test"]
    assert test["matrix"]["dimensions"] == {"DB": ["sqlite", "postgres"], "OS": ["a"]}
    assert 'export DB="{{matrix.DB}}"' in test["commands"]
    assert test["env"]["LEVEL"] == "debug"
    assert (test["timeout"], test["allowFailure"]) == ("90m", True)
    db, redis = test["services"]
    assert db == {
        "name": "db",
        "image": "postgres:{{params.PG}}",
        "env": {"POSTGRES_PASSWORD": "x"},
        "ready": {"port": 5432},
    }
    assert (redis["name"], redis["ready"]) == ("redis", {"port": 6379})
    assert definition(CI)["params"][0]["name"] == "PG"


def test_what_has_no_counterpart_is_a_note() -> None:
    found = notes(CI)
    assert "line 10: `include`: the files that it includes are not read" in found
    assert "deploy: line 43: `environment` has no counterpart" in found
    assert "`after_script` runs only if the commands before it succeed" in found
    assert "its commands use $DEPLOY_KEY, which the file does not set" in found
    assert "the service db is reached at localhost" in found


@pytest.mark.parametrize(
    ("job", "conditional"),
    [
        ("only: [tags]", {"event": "tag"}),
        ("only: {refs: [/^release-.*$/]}", {"branch": "release-**"}),
        ("only: [branches]", None),
        ("only: [main, develop]", REVIEWED),
        ("except: [main]", REVIEWED),
        ("when: manual", REVIEWED),
        ("when: on_failure", {"when": "failure"}),
        ("rules: [{if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH'}]", {"branch": "main"}),
        ("rules: [{if: $CI_COMMIT_TAG, when: always}]", {"event": "tag", "when": "always"}),
        ("rules: [{if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"'}]", {"event": "pull_request"}),
        ("rules: [{if: '$CI_COMMIT_TAG =~ /^v.*/'}]", {"event": "tag", "tag": "v**"}),
        ("rules: [{changes: [src/**]}]", {"paths": ["src/**"]}),
        ("rules: [{if: $A == 'x'}, {when: on_success}]", REVIEWED),
        ("rules: [{if: $CI_COMMIT_TAG}, {if: '$CI_COMMIT_BRANCH == \"main\"'}]", REVIEWED),
        ("rules: [{if: '$CI_COMMIT_BRANCH == \"main\"', when: manual}]", REVIEWED),
        ("rules: [{if: $CI_COMMIT_TAG, when: never}, {when: on_success}]", REVIEWED),
        ("rules: []", REVIEWED),
        ("rules: [{if: '$CI_COMMIT_BRANCH == \"main\"'}, {when: never}]", {"branch": "main"}),
    ],
)
def test_job_runs_when_it_did_or_waits_for_a_review(job: str, conditional: dict[str, str] | None) -> None:
    text = f"first: {{script: make}}\na:\n  script: make\n  needs: [first]\n  {job}\n"
    assert steps(text)["a"].get("conditional") == conditional


def test_parallel_gives_each_copy_its_number() -> None:
    step = steps("a: {parallel: 3, script: 'test $CI_NODE_INDEX/$CI_NODE_TOTAL'}")["a"]
    assert step["matrix"]["dimensions"] == {"node": ["1", "2", "3"]}
    assert step["commands"][:2] == ['export CI_NODE_INDEX="{{matrix.node}}"', "export CI_NODE_TOTAL=3"]


def test_matrix_of_several_entries_is_written_out() -> None:
    text = "a: {parallel: {matrix: [{A: [1, 2]}, {A: 3, B: x}]}, script: 'make $A'}\nb: {needs: [a], script: make}"
    found = steps(text)
    assert found["b"]["dependsOn"] == ["a-1", "a-2", "a-3-x"]
    assert found["a-3-x"]["env"] == {"A": "3", "B": "x"}


def test_scripts_that_need_bash_run_in_bash() -> None:
    assert steps("a: {script: '[[ -f x ]] && make'}")["a"]["shell"] == "bash"


def test_pipeline_is_named_after_the_folder_of_the_file() -> None:
    assert "name: my-shop" in import_pipeline(b"a: {script: make}", "/home/me/My Shop/.gitlab-ci.yml").text


def test_jobs_without_rules_do_not_run_for_merge_requests() -> None:
    text = """
    check: {script: make, rules: [{if: '$CI_PIPELINE_SOURCE == "merge_request_event"'}]}
    deploy: {script: deploy}
    manual: {script: deploy, when: manual}
    """
    assert definition(text)["events"] == ["push", "tag", "pull_request"]
    found = {name: step["conditional"] for name, step in steps(text).items()}
    assert found == {"check": {"event": "pull_request"}, "deploy": {"event": "push"}, "manual": REVIEWED}


_MANY = "\n".join(f"a{number}: {{script: x}}" for number in range(301))
_LONG = ".t: {script: [" + ", ".join("x" * 9000) + "]}\n" + "\n".join(f"a{n}: {{extends: .t}}" for n in range(90))
_VARIABLES = "variables: {" + ", ".join(f"V{number}: x" for number in range(1001)) + "}\na: {script: x}"
_MATRIX = "a: {parallel: {matrix: [" + ", ".join(["{A: [1, 2, 3, 4, 5, 6]}"] * 60) + "]}, script: x}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {extends: b, script: x}\nb: {extends: a}", "extends itself"),
        ("a: {script: !reference [a, script]}", "refers to itself"),
        ("stages: [a]\ninclude: x.yml", "no job of its own .* the files that it includes are not read"),
        ("a: {needs: [b], script: x}\nb: {needs: [a], script: x}", "wait for each other"),
        ("a: {parallel: 999999999, script: x}", "`parallel` is at most 200"),
        (_MATRIX, "more than 300 combinations"),
        (_MANY, "more than 300 jobs"),
        (_LONG, "too many|too large"),
        (_VARIABLES, "more than 1,000 variables"),
    ],
)
def test_pipeline_that_cannot_be_converted_says_why(text: str, message: str) -> None:
    with pytest.raises(ImportFileError, match=message):
        imported(text)
