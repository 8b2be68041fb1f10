"""Steps are counted once, as they end, by how long they took."""

from controller.operator.effects.step_durations import StepDurations
from tests.support.metrics import series
from tests.unit.controller.operator.world import World, step


def test_ended_steps_are_counted_once_and_skipped_steps_never() -> None:
    world, found = World(step("a"), step("b", "a")), StepDurations()

    def reconcile() -> None:
        before = world.status
        world.reconcile()
        found.observe_transition(before, world.status)

    reconcile()
    world.start_step("a")
    reconcile()
    world.pass_time(40)
    world.end_step("a", 1)
    reconcile()
    reconcile()
    assert world.phases() == {"a": "Failed", "b": "Skipped"}
    counts = series(found.histogram)
    assert counts["c8s_step_duration_seconds_count", None] == 1
    assert counts["c8s_step_duration_seconds_bucket", "30.0"] == 0
    assert counts["c8s_step_duration_seconds_bucket", "60.0"] == 1
