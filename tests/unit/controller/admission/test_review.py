"""AdmissionReviews are read as the API server sends them, and answered as it expects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.admission.review import MAX_PROBLEMS, Decision, Request, ReviewError, read_request, response

REVIEW: dict[str, Any] = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u1",
        "resource": {"group": "c8s.dev", "version": "v1alpha1", "resource": "pipelineruns"},
        "operation": "CREATE",
        "namespace": "team",
        "name": "a",
        "object": {"metadata": {"name": "a"}, "spec": {}},
        "dryRun": True,
    },
}


def test_a_review_is_read() -> None:
    spec: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {}}
    assert read_request(REVIEW) == Request("u1", "pipelineruns", "CREATE", "team", "a", spec, is_dry_run=True)


@pytest.mark.parametrize("left_out", ["uid", "resource", "operation", "object"])
def test_a_review_without_what_it_must_have_is_refused(left_out: str) -> None:
    request = {name: value for name, value in REVIEW["request"].items() if name != left_out}
    with pytest.raises(ReviewError):
        read_request({**REVIEW, "request": request})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(document=JSON, request=JSON, obj=JSON)
def test_no_document_raises_anything_else(document: Any, request: Any, obj: Any) -> None:
    for each in (document, {**REVIEW, "request": request}, {**REVIEW, "request": {**REVIEW["request"], "object": obj}}):
        try:
            read_request(each)
        except ReviewError:
            continue


def test_a_refusal_says_everything_and_an_admission_warns() -> None:
    allowed = response("u1", Decision(warnings=("look",)))["response"]
    assert allowed == {"uid": "u1", "allowed": True, "warnings": ["look"]}
    one = response("u1", Decision(("no",)))["response"]
    assert one["status"] == {"code": 422, "reason": "Invalid", "message": "no"}
    many = response("u1", Decision(tuple(f"p{index}" for index in range(25)), 403))["response"]["status"]
    assert (many["code"], many["reason"]) == (403, "Forbidden")
    lines = many["message"].splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("25 problems:", "* p0", "* and 5 more")
    assert len(lines) == MAX_PROBLEMS + 2
