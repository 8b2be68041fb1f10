"""Diagnostics of lint in readable files, with their position and hint."""

# ruff: noqa: E501 - a row for each case is read more easily than a wrapped one

from __future__ import annotations

import pytest

from controller.pipeline.definition import normalized_definition, validate_definition
from controller.pipeline.lint import check_definition, lint
from tests.unit.controller.pipeline.files import GOOD, HEAD, STEP, codes, messages, two_steps


def test_valid_file_has_no_diagnostics() -> None:
    assert codes(GOOD) == []
    assert codes(two_steps(second="dependsOn: [a]")) == []


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        (GOOD + "maxparallel: 2\n", "7:1 error unknown-field", "did you mean `maxParallel`?"),
        (GOOD + "    dependson: [a]\n", "7:5 error unknown-field", "unknown field `dependson` in the step `a` | did you mean `dependsOn`?"),
        (GOOD + "    branches: [main]\n", "7:5 error unknown-field", "`branches` belongs to the pipeline, not to a step"),
        (GOOD + "    secrets: [{secretRef: db, key: p, env: DB}]\n", "7:39 error unknown-field", "`steps[0].secrets[0]` | did you mean `envVar`?"),
        (GOOD + "image: x\n", "7:1 error unknown-field", "`image` belongs to a step"),
        (GOOD.replace("    image: busybox:1.36\n", ""), "4:5 error missing-field", "`image` is missing in the step `a` | add `image:`"),
        (GOOD.replace("    commands: ['true']\n", ""), "4:5 error missing-field", "`commands` is missing in the step `a`"),
        (GOOD.replace("['true']", "[]"), "6:15 error wrong-value", "needs at least 1 entry"),
        (GOOD.replace("['true']", "make"), "6:15 error wrong-type", '`steps[0].commands` must be a list, not "make" | write a list: [make]'),
        (GOOD.replace("['true']", "\n    - echo a: b"), "7:7 error wrong-type", "a text with `: ` in it needs quotes"),
        (GOOD.replace("version: v1alpha1\n", ""), "1:1 error missing-field", "add `version: v1alpha1`"),
        (GOOD.replace("v1alpha1", "v1alpha2"), "1:10 error wrong-value", '`version` must be v1alpha1, not "v1alpha2"'),
        (GOOD.replace("name: a", "name: Unit Tests"), "4:11 error wrong-form", "did you mean `unit-tests`?"),
        (GOOD.replace("name: a", 'name: "a\\n"'), "4:11 error wrong-form", "lower-case letters"),
        (GOOD + "    timeout: 10\n", "7:14 error wrong-form", "such as 30s, 10m or 2h"),
        (GOOD + "    allowFailure: 'true'\n", "7:19 error wrong-type", "leave the quotes out"),
        (GOOD + "prestart: 21\n", "7:11 error wrong-value", "at most 20"),
        (GOOD + "prestart: 2\n", "7:11 warning prestart-without-effect", "no step depends on another one"),
        (two_steps(second="dependsOn: [a]") + "maxParallel: 1\nprestart: 2\n", "12:11 warning prestart-without-effect", "there is never room"),
        (GOOD + "maxParallel: 1.0\n", "7:14 error wrong-type", "must be a whole number, not 1.0"),
        (GOOD + "events: [pull-request]\n", "7:10 error wrong-value", "did you mean `pull_request`?"),
        (GOOD + "    image:\n", "7:5 error duplicate-key", "the first is on line 5"),
        (GOOD.replace("busybox:1.36", "busy box:1.36"), "5:12 error wrong-form", "no image has spaces"),
        (GOOD.replace("busybox:1.36", "busy box"), "5:12 error wrong-form", "remove them"),
        (GOOD.replace("busybox:1.36", "'busybox@sha256:00 '"), "5:12 error wrong-form", "no image has spaces"),
        (GOOD.replace("busybox:1.36", "'busybox:{{ params.tag }} x'") + "params: [{name: tag, default: a}]\n", "5:12 error wrong-form", "no image has spaces"),
        (GOOD.replace("busybox:1.36", '"busybox\\u00a0:1"'), "5:12 error wrong-form", "can't be an image"),
        (GOOD.replace("busybox:1.36", ""), "5:5 error wrong-type", "must be a text, not empty"),
        (GOOD + "    dependsOn:\n", "7:5 hint empty-field", "`dependsOn` is empty"),
        (GOOD + "env: {1A: x}\n", "7:7 error wrong-form", "`1A` can't be a name in `env`"),
        (GOOD + "env: [{name: A, value: x}, {name: A, value: y}]\n", "7:35 error duplicate-variable", "the first is on line 7"),
        (GOOD + "env: {CI: 'false'}\n", "7:7 warning reserved-variable", "is set by c8s"),
        (two_steps().replace("name: b", "name: a"), "7:11 error duplicate-step", "two steps named `a`; the first is on line 4"),
        (two_steps(second="dependsOn: [A]"), "10:17 error unknown-dependency", "there is no step `A` | did you mean `a`?"),
        (two_steps(second="dependsOn: [b]"), "10:17 error self-dependency", "depends on itself"),
        (two_steps(second="dependsOn: [a, a]"), "10:20 warning duplicate-dependency", "listed twice"),
        (two_steps("dependsOn: [b]", "dependsOn: [a]"), "7:17 error cycle", "these steps wait for each other: a -> b -> a"),
        (GOOD.replace("'true'", "'echo {{params.x}}'"), "6:16 error template-in-command", 'use the environment variable instead: "$PARAM_X"'),
        (GOOD.replace("'true'", "'echo {{ run.branch }}'"), "6:16 error template-in-command", '"$C8S_BRANCH"'),
        (GOOD.replace("'true'", "'echo ${matrix.go-version}'"), "6:16 error template-in-command", '"$MATRIX_GO_VERSION", or write {{matrix.go-version}}'),
        (GOOD.replace("'true'", "'echo {{matrix.go}}'"), "6:16 error unknown-variable", "there is no variable `matrix.go` here | add a `matrix`"),
        (GOOD.replace("'true'", "'echo {{matrix.og}}'") + "    matrix: {dimensions: {go: [a]}}\n", "6:16 error unknown-variable", "did you mean `matrix.go`?"),
        (GOOD.replace("'true'", "'[[ -e a ]] && ls'"), "6:16 warning bash-in-sh", "`[[` is bash, but sh runs this: it fails, or does something else | add `shell: bash`"),
        (GOOD.replace("'true'", "'source ./env'"), "6:16 warning bash-in-sh", "`source` is bash"),
        (GOOD.replace("'true'", "'set -euo pipefail'"), "6:16 warning bash-in-sh", "`set -euo pipefail` is bash"),
        (GOOD.replace("'true'", "'files=(a b)'"), "6:16 warning bash-in-sh", "`files=(` is bash"),
        (GOOD.replace("'true'", "'echo \"${files[@]}\"'"), "6:16 warning bash-in-sh", "`${files[` is bash"),
        (GOOD.replace("'true'", "'if [ a == b ]; then ls; fi'"), "6:16 warning bash-in-sh", "`==` is bash"),
        (GOOD.replace("'true'", "'echo {1..3}'"), "6:16 warning bash-in-sh", "`{1..3}` is bash"),
        (GOOD.replace("'true'", "'diff <(ls) b'"), "6:16 warning bash-in-sh", "`<(` is bash"),
        (GOOD.replace("['true']", "\n    - |\n      #!/bin/bash\n      ls"), "7:7 warning bash-in-sh", "a `#!` line has no effect here: sh runs the commands"),
        (GOOD.replace("['true']", "\n    - |\n      #!/usr/bin/env python3\n      1"), "7:7 warning shebang-ignored", "call python3 in a command"),
        (GOOD + "    services: [{name: s, image: 'b:1', commands: ['[[ a ]]']}]\nshell: bash\n", "7:51 warning bash-in-sh", "services run in sh"),
        (GOOD + "    env: {PATH: '/opt/x:$PATH'}\n", "7:17 warning env-not-expanded", '`$PATH` in `PATH` is taken literally: `env` is not read by a shell | set it in the commands instead: export PATH="/opt/x:$PATH"'),
        (GOOD + "env: [{name: A, value: '${HOME}/a'}]\n", "7:24 warning env-not-expanded", "`${HOME}` in `A`"),
        (GOOD + "    services: [{name: s, image: 'b:1', ready: {port: 1}}, {name: t, image: 'b:1', ready: {port: 1}}]\n", "7:97 warning service-port", "the services `s` and `t` both wait for port 1"),
        (GOOD + ".setup: [a]\n", "7:1 error unknown-field", "a field whose name begins with x- is ignored: `x-setup`"),
        (GOOD.replace("busybox:1.36", "'go:{{matrix.go}}'"), "5:12 error unknown-variable", "there is no variable `matrix.go` here"),
        (GOOD + "    env: {A: '{{run.comit}}'}\n", "7:14 error unknown-variable", "did you mean `run.commit`?"),
        (GOOD + "    workingDir: '{{run.name}}'\n", "7:17 error template-not-here", "not filled in this field"),
        (GOOD + "    timeout: 0s\n", "7:14 warning timeout-zero", "ends it at once"),
        (GOOD + "    timeout: 2h\ntimeout: 1h\n", "7:14 warning timeout-beyond-run", "the step may take 2h, but the whole run only 1h"),
        (GOOD + "    timeout: 9000h\n", "7:14 error timeout-too-long", "at most a year (8760h)"),
        (two_steps("timeout: 40m", "timeout: 40m\ndependsOn: [a]") + "timeout: 1h\n", "13:10 hint timeout-critical-path", "add up to 1h20m, more than the run's 1h"),
        (GOOD + "    artifacts: [/etc/passwd]\n", "7:17 error artifact-outside", "does not stay below the workspace"),
        (GOOD + "    artifacts: [{path: /etc/passwd, optional: true}]\n", "7:24 error artifact-outside", "does not stay below the workspace"),
        (GOOD + "    artifacts: [{optional: true}]\n", "7:17 error missing-field", "`path` is missing"),
        (GOOD + "    artifacts: [{path: a, optionl: true}]\n", "7:27 error unknown-field", "did you mean `optional`?"),
        (GOOD + "    artifacts: [{path: a, optional: maybe}]\n", "7:37 error wrong-type", "must be true or false"),
        (GOOD + "    artifacts: [[a]]\n", "7:17 error wrong-type", "a pattern such as dist/**"),
        (GOOD + "    optionalArtifacts: [../b]\n", "7:25 error artifact-outside", "does not stay below the workspace"),
        (GOOD + f"    env: {{A: {'x' * 131_070}}}\n", "7:14 error variable-too-long", "131,072 bytes"),
        (GOOD + f"    services: [{{name: s, image: 'b:1', env: {{A: {'é' * 70_000}}}}}]\n", "7:49 error variable-too-long", "write the text to a file"),
        (GOOD + "    artifacts: [a/../../b]\n", "7:17 error artifact-outside", "without a leading / and without .."),
        (GOOD + "    workingDir: ../x\n", "7:17 error working-dir-outside", "leads out"),
        (GOOD + "    secrets: [{secretRef: s, key: tls.crt}]\n", "7:35 warning secret-variable", "`envVar: TLS_CRT`"),
        (GOOD + "    secrets: [{secretRef: s, key: K}, {secretRef: t, key: K}]\n", "7:59 error secret-clash", "two secrets end up in the variable `K`"),
        (GOOD + "    secretProviders: [{class: a, secret: s}, {class: a, secret: t}]\n", "7:54 error provider-twice", "`a` is mounted twice; the first is on line 7"),
        (GOOD + "    secretProviders: [{class: vault}]\n", "7:23 error missing-field", "`secret` is missing"),
        (GOOD + "    secrets: [{secretRef: s, key: K, file: ../K}]\n", "7:44 error secret-file", "$C8S_SECRETS"),
        (GOOD + "    env: {K: v}\n    secrets: [{secretRef: s, key: K}]\n", "8:35 warning secret-variable", "the secret wins"),
        (GOOD.replace("'true'", "'echo $K'") + "    secrets: [{secretRef: s, key: K}]\n", "6:16 warning secret-printed", "prints the secret `K`"),
        (GOOD.replace("'true'", "'set -ex'") + "    secrets: [{secretRef: s, key: K}]\n", "6:16 warning secret-traced", "tracing"),
        (GOOD.replace("busybox:1.36", "busybox"), "5:12 hint image-tag", "such as busybox:1.2"),
        (GOOD.replace("busybox:1.36", "localhost:5000/busybox"), "5:12 hint image-tag", "no fixed tag"),
        (GOOD + "params: [{name: t, default: dve, options: [dev]}]\n", "7:29 error param-default", "did you mean `dev`?"),
        (GOOD + "params: [{name: t}, {name: T}]\n", "7:28 error duplicate-param", "both would be $PARAM_T"),
        (GOOD + "matrix: {dimensions: {a: [x]}, exclude: [{a: y}]}\n", "7:42 warning exclude-nothing", "`a` has: x"),
        (GOOD + "matrix: {dimensions: {a: [x]}, exclude: [{a: x}]}\n", "7:9 error matrix-empty", "no step would be left"),
        (GOOD + "matrix: {}\n", "7:9 error missing-field", "no `dimensions`"),
        (GOOD + "matrix: {dimensions: {a: [x, x]}}\n", "7:30 warning matrix-duplicate", "counts once"),
        (GOOD + "    matrix: {dimensions: {a: [y]}}\nmatrix: {dimensions: {a: [x]}}\n", "7:27 error matrix-duplicate", "the pipeline's matrix has `a` too"),
        (GOOD + "    conditional: {when: always, onSuccess: false}\n", "7:33 error when-twice", "say the same thing"),
        (GOOD + "    conditional: {event: tag}\n", "7:26 warning never-runs", "the pipeline has no event `tag`"),
        (GOOD + "    conditional: {event: psuh}\n", "7:26 warning never-runs", "did you mean `push`?"),
        (GOOD + "    conditional: {branch: dev}\nbranches: [main, 'release/*']\n", "7:27 warning never-runs", "no run starts on the branch `dev`"),
        (GOOD + "    conditional: {when: failure}\n", "7:25 warning never-runs", "add `dependsOn`"),
        (GOOD + "    resources: {memory: 512m}\n", "7:25 warning resources-unlikely", "did you mean `512Mi`?"),
        (GOOD + "    resources: {cpu: 1000}\n", "7:22 warning resources-unlikely", "did you mean `1000m`?"),
        (GOOD.replace("'true'", '"a\\0b"'), "6:16 error nul-character", "can't be passed to a program"),
    ],
)  # fmt: skip
def test_diagnostic_has_a_position_a_code_and_a_hint(text: str, expected: str, words: str) -> None:
    assert codes(text) == [expected]
    assert words in messages(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("'true'", "\"docker ps --format '{{.Names}}' && helm template '{{ .Values.x }}'\""),
        GOOD.replace("'true'", "'echo $K | docker login'") + "    secrets: [{secretRef: s, key: K}]\n",
        GOOD.replace("'true'", "'echo $KEY'") + "    secrets: [{secretRef: s, key: K}]\n",
        GOOD.replace("busybox:1.36", "busybox@sha256:abc"),
        GOOD + "    conditional: {branch: 'release/*'}\nbranches: ['rel*']\n",
        GOOD + "    env: {A: '{{params.p}} {{run.number}}'}\nparams: [{name: p, default: 3.10}]\n",
        GOOD + "env:\n  spring.datasource.url: x\n",
        GOOD + "    artifacts: ['./dist/', '**/*.xml']\n",
        GOOD.replace("'true'", "'echo {{matrix.go}}', 'echo ${{ matrix.go }}'") + "matrix: {dimensions: {go: [a]}}\n",
        GOOD.replace("'true'", "'[[ -e a ]] && source b'") + "    shell: bash\n",
        GOOD.replace("'true'", "'[[ -e a ]] && source b'") + "shell: bash\n",
        GOOD.replace("'true'", "'. ./a; x=$((1+2)); [ \"$x\" = 3 ] && case $x in (3) ls 2>&1;; esac'"),
        GOOD.replace("'true'", "\"bash -c '[[ a ]] && source b'\", 'echo \"[[ \" # source x'"),
        GOOD + "description: for {{run.branch}}\n",
        GOOD + "    description: for {{run.branch}}\n    x-note: {any: [thing]}\nx-more: 1\n",
        GOOD + "    env: {A: '$5 for $OTHER'}\n",
    ],
)
def test_valid_alternatives_have_no_diagnostics(text: str) -> None:
    assert codes(text) == []


def test_several_errors_are_reported_in_order() -> None:
    text = HEAD + "maxparallel: 1\n" + STEP.replace("image", "imgae") + "    dependsOn: [b]\n"
    assert codes(text) == ["3:1 error unknown-field", "5:5 error missing-field", "6:5 error unknown-field", "8:17 error unknown-dependency"]  # fmt: skip


def test_lists_in_commands_are_spliced_in() -> None:
    found = lint(
        HEAD + "x-setup: &setup\n  - one\n  - &more [two, three]\n"
        "steps: [{name: a, image: 'b:1', commands: [zero, *setup, [*more]], "
        "services: [{name: s, image: 'b:1', commands: [*more]}]}]\n"
    )
    assert found.diagnostics == ()
    assert found.pipeline is not None
    [step] = found.pipeline["steps"]
    assert step["commands"] == ["zero", "one", "two", "three", "two", "three"]
    assert step["services"][0]["commands"] == ["two", "three"]
    assert found.pipeline.keys() == {"name", "steps"}


def test_spliced_command_is_reported_where_it_is_written() -> None:
    text = HEAD + "x-a: &a\n  - '{{run.name}}'\nsteps: [{name: a, image: 'b:1', commands: [*a]}]\n"
    assert codes(text) == ["4:5 error template-in-command"]


def test_ignored_fields_of_a_definition_are_dropped() -> None:
    definition = {
        "name": "x",
        "x-a": 1,
        "env": {"x-b": "kept"},
        "steps": [{"name": "a", "image": "b:1", "commands": ["c"], "x-d": []}],
    }
    valid = normalized_definition(validate_definition(definition))
    assert valid == {
        "name": "x",
        "env": {"x-b": "kept"},
        "steps": [{"name": "a", "image": "b:1", "commands": ["c"]}],
    }


def test_at_most_300_steps_after_expansion() -> None:
    values = ", ".join(f"v{n}" for n in range(100))
    steps = "".join(f"  - {{name: s{n}, image: 'b:1', commands: [x]}}\n" for n in range(3))
    text = HEAD + f"matrix: {{dimensions: {{a: [{values}]}}}}\nsteps:\n" + steps
    assert codes(text) == []
    assert codes(text.replace("v99]", "v99, v100]")) == ["4:1 error too-many-steps"]


def test_ambiguous_names_of_a_matrix_are_rejected() -> None:
    text = GOOD + 'matrix: {dimensions: {a: ["1", "1, b=2"], b: ["2, b=3", "3"]}}\n'
    assert codes(text) == ["4:5 error matrix-ambiguous"]


def test_only_a_file_without_errors_has_a_pipeline() -> None:
    assert lint(GOOD + "x: 1\n").pipeline is None
    warned = lint(GOOD + "    timeout: 0s\n")
    assert warned.diagnostics
    assert warned.pipeline is not None
    assert "version" not in warned.pipeline


def test_definition_is_checked_like_a_file() -> None:
    step = {"name": "a", "image": "b:1", "commands": ["true"], "dependsOn": ["b"]}
    (problem,) = check_definition({"name": "x", "steps": [step]})
    assert (problem.path, problem.code) == ("steps[0].dependsOn[0]", "unknown-dependency")
    assert [p.code for p in check_definition({"name": "x", "steps": [step | {"env": {"A": 1}, "dependsOn": []}]})] == ["wrong-type"]  # fmt: skip


THIRD = "  - {name: c, image: 'b:1', commands: [ls], dependsOn: [a, b]}\n"


def test_same_artifacts_of_independent_steps_are_a_hint_where_both_arrive() -> None:
    both = two_steps("artifacts: [dist]", "artifacts: [x, {path: dist}]")
    assert codes(both) == []
    assert codes(both + THIRD) == ["11:27 hint artifact-overlap"]
    assert "`c` gets `dist` of both `a` and `b`" in messages(both + THIRD)
    chained = two_steps("artifacts: [dist]", "artifacts: [dist]\ndependsOn: [a]")
    assert codes(chained + THIRD) == []
