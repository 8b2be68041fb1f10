import re

import pytest
from pydantic import BaseModel, ValidationError

from controller.api.http.problems import problem_for_validation
from controller.api.models.runs import RunRequest
from controller.run_types import patterns


def described(model: type[BaseModel], value: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(value)
    problem = problem_for_validation(raised.value.errors())
    return [(each["path"], each["message"]) for each in problem.problems]


def test_a_value_of_another_form_is_described_without_its_pattern() -> None:
    source = {"git": {"url": "ftp://example.org/x", "revision": "-x"}}
    found = dict(described(RunRequest, {"pipelineRef": "A B", "source": source, "branch": "a\nb"}))
    assert found == {
        "pipelineRef": patterns.EXPLANATIONS[patterns.NAME_PATTERN],
        "source.git.url": "must be a URL that begins with https://, http://, ssh://, git:// or file://, or have the "
        "form user@host:path",
        "source.git.revision": patterns.EXPLANATIONS[patterns.GIT_REVISION_PATTERN],
        "branch": "must be one line without control characters",
    }


def test_other_mistakes_keep_the_words_of_the_validation() -> None:
    assert described(RunRequest, {"branch": "b" * 300}) == [("branch", "String should have at most 255 characters")]


def test_every_pattern_that_a_person_fills_in_is_explained() -> None:
    found = {name: value for name, value in vars(patterns).items() if name.endswith("_PATTERN")}
    # A client of ours makes these two.
    assert found.keys() - {"UID_PATTERN", "RUN_NUMBER_PATTERN"} == {
        name for name, value in found.items() if value in patterns.EXPLANATIONS
    }
    assert all(re.match("must (be|not contain) ", words) for words in patterns.EXPLANATIONS.values())
