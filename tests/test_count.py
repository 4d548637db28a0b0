#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What run.sh counts is what cmocka and ctest said."""
import io
import os
import sys
import unittest
import xml.etree.ElementTree as ET

from count import count

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))
from run import Recorder  # noqa: E402

SOME = """[==========] Running 3 test(s).
[ RUN      ] works
12 headers
[       OK ] works
[ RUN      ] needs_two
this CPU has one core
[  SKIPPED ] needs_two
[ RUN      ] silent
[  SKIPPED ] silent
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] needs_two
[  SKIPPED ] silent

 2 SKIPPED TEST(S)
"""
ALL = """[==========] Running 1 test(s).
[ RUN      ] real
no model
[  SKIPPED ] real
[==========] 1 test(s) run.
[  PASSED  ] 0 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] real
"""


def report(text, inner="", status="run"):
    root = ET.Element("testsuite")
    case = ET.SubElement(root, "testcase", name="unit_x", status=status)
    ET.SubElement(case, "system-out").text = text
    if inner:
        ET.SubElement(case, inner, message="why")
    return list(count(root, "ci"))


class Count(unittest.TestCase):
    def test_a_program_without_skips_counts_once(self):
        self.assertEqual(report("[  PASSED  ] 7 test(s).\n"), [("passed", "ci/unit_x", "")])
        self.assertEqual(report("no cmocka at all\n"), [("passed", "ci/unit_x", "")])

    def test_skipped_tests_count_with_their_reasons(self):
        self.assertEqual(report(SOME), [
            ("passed", "ci/unit_x", ""),
            ("skipped", "ci/unit_x/needs_two", "this CPU has one core"),
            ("skipped", "ci/unit_x/silent", "the test printed no reason")])

    def test_a_program_that_ran_nothing_is_not_passed(self):
        self.assertEqual(report(ALL), [("skipped", "ci/unit_x/real", "no model")])

    def test_a_line_that_stderr_cut_is_found_in_the_summary(self):
        cut = SOME.replace("[  SKIPPED ] needs_two\n[ RUN", "[  SKIPlog line\nPED ] needs_two\n[ RUN", 1)
        self.assertEqual([line[:2] for line in report(cut)], [
            ("passed", "ci/unit_x"), ("skipped", "ci/unit_x/silent"), ("skipped", "ci/unit_x/needs_two")])

    def test_ctest_s_own_verdicts(self):
        self.assertEqual(report(SOME, status="fail"), [("failed", "ci/unit_x", "")])
        self.assertEqual(report(SOME, "failure"), [("failed", "ci/unit_x", "")])
        self.assertEqual(report("", "skipped"), [("skipped", "ci/unit_x", "why")])


class Parts(unittest.TestCase):
    def test_a_part_that_fails_is_counted(self):
        class Sample(unittest.TestCase):
            def runTest(self):
                for i in range(3):
                    with self.subTest(i=i):
                        self.assertNotEqual(i, 1)
        result = unittest.TextTestRunner(resultclass=Recorder, stream=io.StringIO()).run(Sample())
        self.assertEqual([line[0] for line in result.lines], ["failed"])
        self.assertIn("(i=1)", result.lines[0][1])


if __name__ == "__main__":
    unittest.main()
