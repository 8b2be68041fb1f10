"""Estimates from the times of earlier plans on this machine."""

from __future__ import annotations

from pathlib import Path

from kind.durations import Durations
from kind.errors import KindError
from kind.plan import Step, StepEvent, StepFailedError, execute


def test_estimate_is_the_median_of_the_last_times(tmp_path: Path) -> None:
    times = Durations(tmp_path / "cache" / "seconds.json")
    assert times.estimate("image") is None
    for each in (500.0, 10.0, 20.0, 30.0, 40.0, 50.0):
        times.record("image", each)
    assert times.estimate("image") == 30.0
    times.save()
    assert Durations(tmp_path / "cache" / "seconds.json").estimate("image") == 30.0


def test_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "seconds.json"
    for damaged in ("", "{", "[1]", '{"image": 3}', '{"image": ["x"]}', '{"image": [-1]}', '{"image": []}'):
        file.write_text(damaged)
        assert Durations(file).estimate("image") is None
        Durations(file).save()


async def test_only_long_steps_that_did_something_are_estimated(tmp_path: Path) -> None:
    clock = iter(range(0, 1000, 10))

    async def act(_: object) -> str:
        return "done"

    async def already() -> str:
        return "exists"

    def steps() -> list[Step]:
        return [
            Step("image", "Build", "", act, is_long=True),
            Step("known", "Known", "", act, already, ("image",), is_long=True),
            Step("short", "Short", "", act, needs=("known",)),
        ]

    times, events = Durations(tmp_path / "seconds.json"), list[StepEvent]()
    await execute(steps(), events.append, lambda: float(next(clock)), times)
    estimates = [(each.step, each.text) for each in events if each.kind == "estimated"]
    assert estimates == [("image", "no estimate: it has not been done on this machine before")]
    assert (times.estimate("image") is not None, times.estimate("known"), times.estimate("short")) == (True, None, None)
    events.clear()
    await execute(steps(), events.append, lambda: float(next(clock)), times)
    assert next(each.text for each in events if each.kind == "estimated").startswith("about ")


async def test_failed_step_is_no_measure(tmp_path: Path) -> None:
    async def fail(_: object) -> str:
        raise KindError("it failed")

    times = Durations(tmp_path / "seconds.json")
    try:
        await execute([Step("image", "Build", "", fail, is_long=True)], lambda _: None, durations=times)
    except StepFailedError:
        assert times.estimate("image") is None
    else:
        raise AssertionError("the step did not fail")
