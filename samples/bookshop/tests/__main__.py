"""Runs the tests of one part, and writes their results as JUnit XML: `python3 -m tests cart --report report.xml`."""

import argparse
import sys
import time
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path


class Results(unittest.TextTestResult):
    """Prints the results, and collects them for the report."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.report = ET.Element("testsuite")

    def startTest(self, test):
        super().startTest(test)
        self._began = time.perf_counter()

    def addSuccess(self, test):
        super().addSuccess(test)
        self._add(test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._add(test, "failure", error)

    def addError(self, test, error):
        super().addError(test, error)
        self._add(test, "error", error)

    def _add(self, test, outcome=None, error=None):
        module, name, method = test.id().rsplit(".", 2)
        case = ET.SubElement(self.report, "testcase", classname=f"{module}.{name}", name=method)
        case.set("time", f"{time.perf_counter() - self._began:.3f}")
        case.set("file", module.replace(".", "/") + ".py")
        case.set("line", str(getattr(test, method).__code__.co_firstlineno))
        if outcome is not None:
            details = ET.SubElement(case, outcome, message=f"{error[0].__name__}: {error[1]}")
            details.text = self._exc_info_to_string(error, test)


def main():
    parser = argparse.ArgumentParser(prog="python3 -m tests")
    parser.add_argument("part")
    parser.add_argument("--report", type=Path, required=True)
    given = parser.parse_args()
    suite = unittest.defaultTestLoader.loadTestsFromName(f"tests.test_{given.part}")
    results = unittest.TextTestRunner(verbosity=2, resultclass=Results).run(suite)
    results.report.set("name", given.part)
    ET.ElementTree(results.report).write(given.report, encoding="utf-8")
    return 0 if results.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
