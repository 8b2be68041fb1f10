"""Recognising systems, and files with anything anywhere."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workbench.importer.argo import test_workflow as test_argo
from tests.unit.workbench.importer.github import test_workflow as test_github
from tests.unit.workbench.importer.gitlab import test_pipeline as test_gitlab
from tests.unit.workbench.importer.tekton import test_pipeline as test_tekton
from workbench.importer.convert import SYSTEMS, import_pipeline
from workbench.importer.source import ImportFileError
from workbench.pipeline_file.load import lint_pipeline

FILES = {"github": test_github.CI, "gitlab": test_gitlab.CI, "tekton": test_tekton.CI, "argo": test_argo.CI}


@pytest.mark.parametrize("system", SYSTEMS)
def test_system_is_recognised_by_the_content(system: str) -> None:
    data = FILES[system].encode()
    assert import_pipeline(data, "x.yml") == import_pipeline(data, "x.yml", system)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"# nothing\n", "the file is empty"),
        (b"version: v1alpha1\nname: x\n", "not a GitHub workflow"),
        (b"- a\n", "not a GitHub workflow"),
        (b"apiVersion: v1\nkind: Pod\n", "not a GitHub workflow"),
    ],
)
def test_other_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImportFileError, match=message):
        import_pipeline(data, "x.yml")


class _Loader(yaml.SafeLoader):
    """Reads tags as plain lists."""


_Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))
_ODD: list[Any] = [None, True, "", "x", "${{ matrix.x }}", "$(params.x)", "$X", "../x", [], {}, [None], [[]], [{}]]
_ODD += [{"a": "b"}, "a\nb", "99999999999", "\u2028", "${{", "$[[", "x" * 300, {"": None}]


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found += [(value, key) for key in value]
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
    return [*found, *(place for container, key in found for place in _places(container[key]))]


@pytest.mark.parametrize("system", SYSTEMS)
@given(data=st.data())
def test_anything_anywhere_converts_to_a_valid_pipeline_or_says_why(system: str, data: st.DataObject) -> None:
    documents = list(yaml.load_all(FILES[system], Loader=_Loader))
    for _ in range(data.draw(st.integers(1, 4))):
        places = _places(documents)
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        container[key] = copy.deepcopy(data.draw(st.sampled_from(_ODD)))
    text = yaml.safe_dump_all(documents, allow_unicode=True)
    with contextlib.suppress(ImportFileError):
        assert not lint_pipeline(import_pipeline(text.encode(), "x.yml", system).text).has_errors
