"""Phases and reasons are interchangeable with the strings in a status."""

from __future__ import annotations

import json

import pytest

from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, RunPhase, StepPhase
from controller.run_types.reasons import RunReason, StepReason


@pytest.mark.parametrize("phase", list(StepPhase))
def test_final_step_phases_contain_plain_strings(phase: StepPhase) -> None:
    assert (str(phase) in FINAL_STEP_PHASES) is phase.is_terminal


@pytest.mark.parametrize("phase", list(RunPhase))
def test_final_run_phases_contain_plain_strings(phase: RunPhase) -> None:
    assert (str(phase) in FINAL_RUN_PHASES) is phase.is_terminal


def test_skipped_is_final_for_steps_only() -> None:
    assert {str(phase) for phase in FINAL_STEP_PHASES} - {str(phase) for phase in FINAL_RUN_PHASES} == {"Skipped"}


def test_members_serialize_to_their_values() -> None:
    assert json.dumps({"phase": StepPhase.FAILED, "reason": StepReason.OOM_KILLED}) == (
        '{"phase": "Failed", "reason": "OOMKilled"}'
    )


@pytest.mark.parametrize(("reasons", "phases"), [(RunReason, RunPhase), (StepReason, StepPhase)])
def test_reasons_name_only_known_phases(reasons: type[RunReason], phases: type[RunPhase]) -> None:
    assert {phase for reason in reasons for phase in reason.phases.split(", ")} <= {str(phase) for phase in phases}
