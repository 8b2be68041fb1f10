"""Imported pipelines run: their commands, variables, matrices, order and files are those of the other system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import C8s, parse_step_table

_GITHUB = """
on: {push: {}, workflow_dispatch: {inputs: {level: {default: info}}}}
env: {REGION: eu}
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - {run: 'mkdir out && cd out && echo "$WORD" > word.txt', env: {WORD: "it's me"}}
      - run: test -f out/word.txt
      - {uses: actions/upload-artifact@v4, with: {path: out/, if-no-files-found: error}}
  test:
    needs: build
    runs-on: ubuntu-latest
    strategy: {matrix: {v: [a b, "$(false)"]}}
    steps:
      - run: 'echo "read $(cat out/word.txt) with ${{ matrix.v }} in $REGION at ${{ inputs.level }}"'
"""
_GITLAB = """
variables: {APP: shop, NAME: "$APP-$CI_JOB_NAME"}
.words: {script: [echo "first of $NAME"]}
build:
  stage: build
  script: [!reference [.words, script], 'mkdir dist; echo "made by $NAME" > dist/word.txt']
  artifacts: {paths: [dist/]}
test:
  script: ['echo "$CI_NODE_INDEX of $CI_NODE_TOTAL: $(cat dist/word.txt)"', '[[ -n $APP ]]']
  after_script: [echo afterwards]
  parallel: 2
release: {stage: deploy, when: manual, script: "false"}
"""
_TEKTON = """
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: tk}
spec:
  params: [{name: who, default: "you; false"}]
  tasks:
    - name: hello
      params: [{name: name, value: "dear $(params.who)"}]
      taskSpec:
        params: [{name: name}]
        steps:
          - {image: alpine:3.20, script: 'echo "hello $(params.name) in $(workspaces.x.path)"'}
          - {image: alpine:3.20, command: [echo], args: ["<$(params.name)>", "a  b"]}
  finally: [{name: bye, taskSpec: {steps: [{image: alpine:3.20, command: [sh, -c], args: ["echo bye"]}]}}]
"""
_ARGO = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: ar-}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: you}]}
  templates:
    - name: main
      dag:
        tasks:
          - name: one
            template: say
            arguments: {parameters: [{name: text, value: "one {{workflow.parameters.who}}"}]}
          - name: each
            template: say
            dependencies: [one]
            withItems: [x y, z]
            arguments: {parameters: [{name: text, value: "item {{item}}"}]}
          - {name: script, template: script, dependencies: [each]}
    - name: say
      inputs: {parameters: [{name: text}]}
      container: {image: alpine:3.20, command: [echo, "<{{inputs.parameters.text}}>"]}
    - {name: script, script: {image: python:3.12, command: [python3], source: "print('from ' + 'python')"}}
"""
_FILES = {
    "github": (
        _GITHUB,
        ["read it's me with a b in eu at info", "read it's me with $(false) in eu at info"],
    ),
    "gitlab": (
        _GITLAB,
        ["first of shop-build", "1 of 2: made by shop-build", "2 of 2: made by shop-build", "afterwards"],
    ),
    "tekton": (_TEKTON, ["hello dear you; false in /", "<dear you; false> a  b", "bye"]),
    "argo": (_ARGO, ["<one you>", "<item x y>", "<item z>", "from python"]),
}


@pytest.mark.parametrize("system", _FILES)
def test_imported_pipeline_does_what_the_original_does(c8s: C8s, tmp_path: Path, system: str) -> None:
    content, printed = _FILES[system]
    (tmp_path / "pipeline.yml").write_text(content)
    c8s("import", "pipeline.yml", cwd=tmp_path)
    out = c8s("run", cwd=tmp_path).stdout
    table = parse_step_table(out)
    assert set(table.values()) <= {"Succeeded", "Skipped"}
    assert [step for step, status in table.items() if status == "Skipped"] == (
        ["release"] if system == "gitlab" else []
    )
    said = [line.partition("| ")[2] for line in out.splitlines() if "| $ " not in line]
    assert [text for text in printed if not any(line.startswith(text) for line in said)] == [], out
