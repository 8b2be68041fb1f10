"""What is shown of tests: their order, their places in the sources, and how many failed."""

from pathlib import Path

import pytest

from workbench.client.test_results import StepTests, TestHistory, TestReport, TestResult
from workbench.report.test_results import (
    detail_lines,
    display_name,
    find_test_source,
    history_signs,
    ordered,
    summary_text,
)


def result(outcome: str = "passed", **more: object) -> TestResult:
    fields: dict[str, object] = {"step": "unit", "key": "k", "name": "n", "suite": "s", "outcome": outcome, **more}
    return TestResult(**fields)  # type: ignore[arg-type]


def report(total: int, failed: int, skipped: int = 0) -> TestReport:
    return TestReport((StepTests("unit", "unit", 1, total, failed, skipped, 1.0, True, False, ()),), ())


def test_what_failed_comes_first_and_then_what_is_flaky() -> None:
    tests = [result(key="a"), result("skipped", key="b"), result(key="c"), result("error", key="d")]
    histories = {"unit": TestHistory(("r",), {}, frozenset({"c"}))}
    assert [test.key for test in ordered(tests, histories)] == ["d", "c", "b", "a"]
    assert history_signs("PFS-P", 4) == "✗»·✓"


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((0, 0), "no tests"),
        ((1, 0), "1 test, none failed"),
        ((1200, 3, 2), "3 of 1,200 tests failed, 2 skipped"),
    ],
)
def test_a_summary_counts_the_tests(counts: tuple[int, ...], text: str) -> None:
    assert summary_text(report(*counts)) == text


def test_differences_are_told_apart() -> None:
    found = result("failed", message="1 != 2", details="E   - 2\nE   + 1\n--- a\nplain\nE   boom", output="said")
    kinds = [(line.text, line.kind) for line in detail_lines(found) if line.text]
    assert kinds == [
        ("1 != 2", "message"),
        ("E   - 2", "expected"),
        ("E   + 1", "actual"),
        ("--- a", "plain"),
        ("plain", "plain"),
        ("E   boom", "message"),
        ("Output", "title"),
        ("said", "plain"),
    ]


def test_sources_are_found_by_path_by_go_package_and_by_python_module(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "cart").mkdir(parents=True)
    (tmp_path / "pkg" / "cart" / "cart_test.go").write_text("package cart\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_cart.py").write_text("class TestA:\n    def test_total(self):\n        pass\n")

    def place(**fields: object) -> str | None:
        found = find_test_source(tmp_path, result("failed", **fields))
        return found.label if found is not None else None

    assert place(file="tests/test_cart.py", line=3) == "tests/test_cart.py:3"
    assert place(file="cart_test.go", line=1, suite="example.com/shop/pkg/cart") == "pkg/cart/cart_test.go:1"
    assert place(suite="tests.test_cart.TestA", name="test_total[1]") == "tests/test_cart.py:2"
    assert place(suite="tests.test_other", name="x") is None
    assert place(file="../../etc/passwd", line=1) is None
    assert place(file="/etc/passwd", line=1, suite="a b") is None


def test_a_name_has_its_suite_before_it_once() -> None:
    assert display_name(result(suite="shop", name="adds")) == "shop › adds"
    assert display_name(result(suite="shop", name="shop adds")) == "shop adds"
