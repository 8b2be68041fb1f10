"""Which SecretProviderClasses a step may mount: those for pipelines, all of which can be masked."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.secret_providers import mounted_objects, refusal

Json = dict[str, Any]
SAMPLE = Path(__file__).parents[3] / "docs" / "cluster" / "secret-provider-class.yaml"
CLASS: Json = yaml.safe_load(SAMPLE.read_text())


def changed(**paths: Any) -> Json:
    found = copy.deepcopy(CLASS)
    for path, value in paths.items():
        *folders, last = path.split("__")
        target: Any = found
        for each in folders:
            target = target[int(each)] if each.isdigit() else target[each]
        target[last] = value
    return found


def test_the_sample_may_be_mounted() -> None:
    assert refusal("deploy-keys", "deploy-keys", CLASS) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, "there is no SecretProviderClass deploy-keys in the namespace"),
        (changed(metadata__labels={}), "kubectl label secretproviderclass deploy-keys c8s.dev/secret=true"),
        (changed(spec__secretObjects=[]), "makes no Secret deploy-keys"),
        (changed(spec={}), "makes no Secret deploy-keys"),
        (changed(spec__secretObjects__0__secretName="other"), "makes no Secret deploy-keys"),
        (
            changed(spec__secretObjects__0__labels={}),
            'set the label c8s.dev/secret: "true" in `secretObjects[].labels`',
        ),
        (
            changed(spec__secretObjects__0__data=[{"key": "token", "objectName": "token"}]),
            "mounts host-key, which its Secret deploy-keys lacks",
        ),
        (changed(spec__secretObjects__0__data=None), "mounts token, host-key, which"),
    ],
)
def test_a_class_that_is_not_for_pipelines_or_not_masked_is_refused(found: Json | None, expected: str) -> None:
    assert expected in refusal("deploy-keys", "deploy-keys", found)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, []),
        ({"objects": "- objectName: a\n- objectName: b\n- objectName: a\n"}, ["a", "b"]),
        ({"objects": "- objectName: arn:aws:x\n  objectAlias: short\n"}, ["short"]),
        (
            {"objects": "array:\n  - |\n    objectName: one\n    objectType: secret\n  - |\n    objectName: two\n"},
            ["one", "two"],
        ),
        ({"secrets": "- resourceName: projects/p/secrets/s/versions/1\n  path: good.txt\n"}, ["good.txt"]),
        ({"objects": "[" * 100_000}, []),
        ({"objects": "{a: 1"}, []),
        ({"objects": "- 3\n- {objectName: 4}\n- {other: x}\n"}, []),
        ({"objects": 7}, []),
    ],
)
def test_mounted_objects_of_known_providers_are_found(parameters: Json, expected: list[str]) -> None:
    assert mounted_objects(parameters) == expected
