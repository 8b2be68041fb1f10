"""Steps are counted once, as they end, by how long they took."""

from controller.operator.effects.step_durations import StepDurations
from tests.unit.controller.operator.world import World, step


def test_ended_steps_are_counted_once_and_skipped_steps_never() -> None:
    world, found = World(step("a"), step("b", "a")), StepDurations()

    def look() -> None:
        before = world.status
        world.reconcile()
        found.observe_transition(before, world.status)

    look()
    world.start_step("a")
    look()
    world.pass_time(40)
    world.end_step("a", 1)
    look()
    look()
    assert world.phases() == {"a": "Failed", "b": "Skipped"}
    assert list(found.by_phase) == ["Failed"]
    assert sum(found.by_phase["Failed"].counts) == 1
    assert dict(found.by_phase["Failed"].cumulative())["30.0"] == 0
    assert dict(found.by_phase["Failed"].cumulative())["60.0"] == 1
