#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The program that counts the tests must not count wrongly."""
import importlib.machinery
import importlib.util
import pathlib
import unittest

PATH = pathlib.Path(__file__).resolve().parents[1] / "suite"
LOADER = importlib.machinery.SourceFileLoader("suite", str(PATH))
suite = importlib.util.module_from_spec(importlib.util.spec_from_loader("suite", LOADER))
LOADER.exec_module(suite)


def count(output, ok=True, skipped=False):
    c = suite.count_program(output, ok, skipped)
    return c.passed, c.failed, c.skipped


class Counting(unittest.TestCase):
    def test_program_without_report(self):
        self.assertEqual(count("layers: ok\n"), (1, 0, 0))
        self.assertEqual(count("layers: bad\n", ok=False), (0, 1, 0))
        self.assertEqual(count("skipped: no root\n", skipped=True), (0, 0, 1))

    def test_tap(self):
        output = "1..4\nok 1 - a\nnot ok 2 - b\n# why\nnot ok 3 # SKIP c\nok 4 - d\n# not ok - group\n"
        self.assertEqual(count(output, ok=False), (2, 1, 1))

    def test_tap_of_two_groups(self):
        self.assertEqual(count("1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n"), (3, 0, 0))

    def test_tap_that_breaks_off(self):
        self.assertEqual(count("1..3\nok 1 - a\n==1==ERROR: AddressSanitizer\n", ok=False), (1, 2, 0))

    def test_all_ok_but_the_exit_status(self):
        self.assertEqual(count("1..1\nok 1 - a\n==1== definitely lost\n", ok=False), (1, 1, 0))

    def test_unittest(self):
        self.assertEqual(count("...\nRan 7 tests in 0.1s\n\nOK\n"), (7, 0, 0))
        self.assertEqual(count("...\nRan 7 tests in 0.1s\n\nOK (skipped=2)\n"), (5, 0, 2))
        self.assertEqual(
            count("...\nRan 7 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", ok=False),
            (3, 3, 1))

    def test_unittest_that_could_not_begin(self):
        self.assertEqual(count("Ran 0 tests in 0.0s\n\nFAILED (errors=1)\n", ok=False), (0, 1, 0))

    def test_nothing_is_not_success(self):
        self.assertEqual(count("Ran 0 tests in 0.0s\n\nOK\n"), (0, 1, 0))


if __name__ == "__main__":
    unittest.main()
