"""Every PipelineConfig that lavigneer/c8s takes in its v1alpha1 is one of ours, with no error and the same meaning."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.lint import check_definition, lint

Json = dict[str, Any]

NAME = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
WORD = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
TIME = st.from_regex(r"[1-9][0-9]{0,2}[smh]", fullmatch=True)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=20).filter(
    lambda text: "{{" not in text and bool(text.strip())
)
RESERVED = ("CI", "C8S", "BRANCH", "COMMIT_SHA")


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


SECRET = st.tuples(
    st.fixed_dictionaries({"secretRef": NAME, "key": WORD.filter(lambda word: not word.startswith(RESERVED))}),
    optional(envVar=WORD.filter(lambda word: not word.startswith(RESERVED))),
).map(lambda parts: parts[0] | parts[1])

STEP = st.tuples(
    st.fixed_dictionaries({"image": NAME.map("{}:1".format), "commands": st.lists(TEXT, min_size=1, max_size=3)}),
    optional(
        resources=optional(
            cpu=st.from_regex(r"[1-9][0-9]{0,3}m?", fullmatch=True),
            memory=st.from_regex(r"[1-9][0-9]{0,2}(Mi|Gi)", fullmatch=True),
        ),
        timeout=TIME,
        artifacts=st.lists(st.sampled_from(["dist/**/*", "a.txt", "*.xml"]), max_size=2),
        secrets=st.lists(SECRET, max_size=2, unique_by=lambda use: use.get("envVar", use["key"])),
        conditional=optional(branch=st.sampled_from(["main", "release/*"]), onSuccess=st.booleans()),
        env=st.dictionaries(WORD.map("X_{}".format), TEXT, max_size=2).map(
            lambda found: [{"name": name, "value": value} for name, value in found.items()]
        ),
    ),
).map(lambda parts: parts[0] | parts[1])

DIMENSIONS = st.dictionaries(
    WORD, st.lists(st.sampled_from(["1", "1.20", "linux", "a b"]), min_size=1, max_size=3, unique=True), max_size=2
).filter(lambda found: len({name.upper() for name in found}) == len(found))


@st.composite
def configs(draw: st.DrawFn) -> Json:
    """A PipelineConfig that their CRD takes, in either form of the matrix."""
    names = draw(st.lists(NAME, min_size=1, max_size=5, unique=True))
    steps = []
    for index, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        steps.append({"name": name, **draw(STEP), **({"dependsOn": needs} if needs else {})})
    more = draw(
        optional(
            branches=st.just(["*"]),
            timeout=TIME,
            retryPolicy=optional(maxRetries=st.integers(0, 5), backoffSeconds=st.integers(0, 600)),
        )
    )
    spec = {"repository": "https://example.com/org/app", "steps": steps, **more}
    dimensions = draw(DIMENSIONS)
    if dimensions:
        older = [{"dimension": name, "values": values} for name, values in dimensions.items()]
        spec["matrix"] = draw(st.sampled_from([{"dimensions": dimensions}, {"strategy": older, "exclusions": []}]))
    return {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineConfig", "metadata": {"name": "app"}, "spec": spec}


@settings(max_examples=150, deadline=None)
@given(configs())
def test_older_config_is_valid_and_keeps_its_steps(config: Json) -> None:
    found = lint(json.dumps(config))
    assert [problem for problem in found.diagnostics if problem.severity == "error"] == []
    assert found.pipeline is not None
    assert check_definition(found.pipeline) == ()
    assert [step["name"] for step in found.pipeline["steps"]] == [step["name"] for step in config["spec"]["steps"]]


def test_older_file_with_templates_in_commands_is_valid() -> None:
    found = lint(
        """\
version: v1alpha1
name: matrix-pipeline
description: Test across versions and platforms
repository: https://example.com/org/app
branches: [main, develop]
matrix:
  dimensions:
    go_version: ["1.24", "1.25"]
    os: ["ubuntu", "alpine"]
  exclude:
    - go_version: "1.24"
      os: "alpine"
steps:
  - name: build
    description: Build one combination
    image: golang:${{ matrix.go_version }}-${{ matrix.os }}
    commands:
      - go build -o app-${{ matrix.os }}-go${{ matrix.go_version }} .
      - ls -lh app-*
    artifacts:
      - app-${{ matrix.os }}-go${{ matrix.go_version }}
    conditional: {branch: main, onSuccess: true}
"""
    )
    assert found.diagnostics == ()
    assert found.pipeline is not None


def test_older_matrix_form_is_accepted_with_a_hint() -> None:
    found = lint(
        """\
apiVersion: c8s.dev/v1alpha1
kind: PipelineConfig
metadata: {name: matrix-build}
spec:
  repository: https://example.com/org/app
  matrix:
    strategy:
      - {dimension: os, values: [linux, darwin]}
      - {dimension: version, values: [1.20, 1.21]}
    exclusions:
      - {os: darwin, version: 1.20}
  steps:
    - {name: build, image: "alpine:3", commands: [make], env: [{name: OS, value: "{{matrix.os}}"}]}
"""
    )
    assert [(problem.severity, problem.code) for problem in found.diagnostics] == [("hint", "matrix-older-form")] * 2
    assert found.pipeline is not None
    assert found.pipeline["matrix"] == {
        "dimensions": {"os": ["linux", "darwin"], "version": ["1.20", "1.21"]},
        "exclude": [{"os": "darwin", "version": "1.20"}],
    }
