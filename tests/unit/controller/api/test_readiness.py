"""Readiness names what is not ready."""

from controller.api.readiness import Readiness


def test_nothing_to_wait_for_is_ready() -> None:
    assert Readiness().document() == {"ready": True, "parts": [], "waitingFor": []}


def test_component_is_listed_with_its_reason_until_ready() -> None:
    readiness = Readiness()
    readiness.set_waiting("kubernetes", "no answer")
    readiness.add_check("runs", lambda: None)
    found = {"ready": False, "parts": ["runs"], "waitingFor": [{"part": "kubernetes", "why": "no answer"}]}
    assert readiness.document() == found
    readiness.set_ready("kubernetes")
    assert readiness.document() == {"ready": True, "parts": ["kubernetes", "runs"], "waitingFor": []}


def test_a_part_that_is_asked_may_stop_being_ready() -> None:
    healthy = [True]
    readiness = Readiness()
    readiness.add_check("runs", lambda: None if healthy[0] else "the watch broke off")
    assert readiness.document()["ready"]
    healthy[0] = False
    assert not readiness.document()["ready"]
