"""What was reused of an earlier run, and why the other steps ran again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.support.tui.fakes import NOW, run, step
from workbench.client.models import Reused, Run
from workbench.report.reuse import FileChanges, changed_files, count_reuse, explain_reruns, step_changes

BUILD: dict[str, Any] = {"name": "build", "image": "alpine:3", "commands": ["make"]}
TEST: dict[str, Any] = {"name": "test", "image": "alpine:3", "commands": ["make test"], "dependsOn": ["build"]}


def shop(number: int, *definitions: Mapping[str, Any], inputs: str = "", **fields: Any) -> Run:
    """A run that succeeded; `inputs` is the end of each step's digest."""
    steps = [
        replace(step(each["name"], tuple(each.get("dependsOn", ())), "Succeeded"), inputs=f"{each['name']}{inputs}")
        for each in definitions
    ]
    made = run(f"shop-{number}", "Succeeded", steps)
    return replace(
        made, definition={"name": "shop", "steps": list(definitions), **fields.pop("pipeline", {})}, **fields
    )


def why(before: Run, after: Run, files: FileChanges | None = None) -> dict[str, tuple[str, ...]]:
    return explain_reruns(replace(after, reuse_from=before.name), before, files)


def changed(**fields: Any) -> tuple[str, ...]:
    """The reasons why `build` ran again with these fields of its definition."""
    return why(shop(1, BUILD), shop(2, {**BUILD, **fields}, inputs="'"))["build"]


def test_reused_steps_and_their_time_are_counted() -> None:
    first = shop(1, BUILD, TEST)
    reused = replace(first.steps[0], attempts=(), reused=Reused("shop-1", "build", 1))
    second = replace(shop(2, BUILD, TEST), steps=(reused, first.steps[1]), reuse_from="shop-1")
    count = count_reuse(second, {"shop-1": first}.get, NOW)
    assert str(count) == "1 of 2 reused, saved 1.50s"


def test_time_of_unknown_runs_is_not_counted() -> None:
    reused = replace(step("build", (), "Succeeded"), reused=Reused("shop-1", "build", 1))
    second = replace(shop(2, BUILD), steps=(reused,), reuse_from="shop-1")
    assert str(count_reuse(second, {}.get, NOW)) == "1 of 1 reused"


def test_nothing_is_counted_for_a_run_of_its_own() -> None:
    assert count_reuse(shop(1, BUILD), {}.get, NOW) is None


def test_changed_image_is_named() -> None:
    assert changed(image="alpine:4") == ("image alpine:3 → alpine:4",)


def test_changed_commands_are_shown() -> None:
    assert changed(commands=["make -j4"]) == ("commands: +make -j4, -make",)


def test_another_order_of_commands_is_a_change() -> None:
    before, after = ({**BUILD, "commands": commands} for commands in (["a", "b"], ["b", "a"]))
    assert why(shop(1, before), shop(2, after, inputs="'")) == {"build": ("commands: another order",)}


def test_changed_environment_is_named() -> None:
    before = {**BUILD, "env": {"A": "1", "OLD": "x"}}
    after = shop(2, {**BUILD, "env": {"A": "2"}}, inputs="'", pipeline={"env": {"NEW": "y"}})
    assert why(shop(1, before), after)["build"] == ("environment A: 1 → 2", "environment +NEW", "environment -OLD")


def test_changed_secrets_are_named() -> None:
    assert changed(secrets=[{"secretRef": "db", "key": "user", "envVar": "USER"}]) == ("secrets: +db/user as USER",)


def test_changed_parameters_are_named_with_their_defaults() -> None:
    declared = {"params": [{"name": "target", "default": "test"}]}
    before, after = shop(1, BUILD, pipeline=declared), shop(2, BUILD, inputs="'", pipeline=declared)
    assert why(before, replace(after, params={"target": "prod"}))["build"] == ("parameter target: test → prod",)


def test_other_changed_fields_are_named() -> None:
    assert changed(workingDir="app", shell="bash") == ("workingDir changed", "shell sh → bash")


def test_changes_without_an_effect_are_no_reason() -> None:
    before, after = shop(1, BUILD), shop(2, {**BUILD, "timeout": "1h", "description": "x"}, inputs="'")
    assert why(before, after, FileChanges(modified=("a.c",)))["build"] == ("source files: ~a.c",)


def test_changed_branch_is_a_reason_where_it_is_used() -> None:
    uses = {**BUILD, "env": {"B": "{{run.branch}}"}}
    before, after = shop(1, uses), replace(shop(2, uses, inputs="'"), branch="dev")
    assert why(before, after)["build"] == ("branch main → dev",)


def test_changed_files_are_named() -> None:
    files = changed_files({"a": "1", "b": "1", "c": "1"}, {"a": "2", "c": "1", "d": "1"})
    assert why(shop(1, BUILD), shop(2, BUILD, inputs="'"), files)["build"] == ("source files: ~a +d -b",)


def test_inputs_that_name_a_value_of_the_matrix_have_those_of_the_step() -> None:
    files = FileChanges(modified=("src/cart.py", "src/stock.py", "main"))
    definition = {"inputs": ["src/{{matrix.part}}.py", "${{ matrix.other }}"]}
    matrix = {"part": "cart", "other": "none"}
    assert step_changes(files, definition, matrix) == FileChanges(modified=("src/cart.py",))
    assert step_changes(files, {"inputs": ["{{run.branch}}"]}, matrix) == files, "it is not known here"
    assert step_changes(files, {}, matrix) == files


def test_many_changed_files_are_counted() -> None:
    files = FileChanges(added=tuple(f"f{at}" for at in range(9)))
    assert str(files) == "+f0 +f1 +f2 +f3 +f4 and 4 more"


def test_changed_source_is_inferred_without_names_of_files() -> None:
    before, after = shop(1, BUILD, TEST), shop(2, BUILD, TEST, inputs="'")
    assert why(before, after) == {"build": ("source files",), "test": ("source files", "upstream build ran again")}


def test_changed_commit_of_a_cloned_repository_is_named() -> None:
    before = replace(shop(1, BUILD), source_commit="a" * 40)
    after = replace(shop(2, BUILD, inputs="'"), source_commit="b" * 40)
    assert why(before, after)["build"] == ("source: commit aaaaaaa → bbbbbbb",)


def test_steps_below_one_that_ran_again_say_so() -> None:
    before, after = shop(1, BUILD, TEST), shop(2, {**BUILD, "image": "alpine:4"}, TEST, inputs="'")
    assert why(before, after)["test"] == ("upstream build ran again",)


def test_failed_and_new_steps_run_again() -> None:
    before, after = shop(1, BUILD), shop(2, BUILD, TEST)
    failed = replace(before, steps=(replace(before.steps[0], phase="Failed"),))
    assert why(failed, after) == {"build": ("failed in shop-1",), "test": ("shop-1 has no such step",)}


def test_step_without_a_difference_says_that_its_result_is_gone() -> None:
    assert why(shop(1, BUILD), shop(2, BUILD))["build"] == ("the result of shop-1 can't be reused any more",)


def test_combinations_of_a_matrix_are_compared() -> None:
    before, after = (run(f"shop-{n}", "Succeeded", [replace(step("t (os=a)", (), "Succeeded"), inputs=str(n))])
                     for n in (1, 2))  # fmt: skip
    old, new = {"name": "t", "image": "a", "commands": ["x"]}, {"name": "t", "image": "b", "commands": ["x"]}
    found = why(replace(before, definition={"steps": [old]}), replace(after, definition={"steps": [new]}))
    assert found == {"t (os=a)": ("image a → b",)}
