#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: the real binaries on loopback, on this machine's OpenCL devices.

    tests/e2e/run.py --build build/ci [--results FILE] [--only NAME] [-v]

Each test counts; FILE gets one line each for tests/run.sh: STATUS, name, reason.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "deploy", "demo")]


class Recorder(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lines = []
        self.spans = []
        self.begun = time.monotonic()

    def stopTest(self, test):
        """Setting up a class counts for its first test."""
        super().stopTest(test)
        now = time.monotonic()
        self.spans.append((now - self.begun, test.id()))
        self.begun = now

    def note(self, status, test, reason=""):
        name = test.id().split(".", 1)[-1] if hasattr(test, "id") else str(test)
        self.lines.append((status, f"e2e/{test.id()}", " ".join(str(reason).split())[:300]))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("passed", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("failed", test, err[1])

    def addError(self, test, err):
        super().addError(test, err)
        self.note("failed", test, err[1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note("failed", subtest, err[1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skipped", test, reason)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "ci"))
    parser.add_argument("--models", default=os.environ.get("SLUICE_MODELS", os.path.join(ROOT, "build", "models")))
    parser.add_argument("--results")
    parser.add_argument("--only", default="")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    os.environ["SLUICE_BUILD"] = os.path.abspath(args.build)
    os.environ["SLUICE_MODELS"] = os.path.abspath(args.models)
    fetched = subprocess.run([os.path.join(ROOT, "deploy", "get-models.sh"), "--dir", args.models, "--convert",
                              os.path.join(args.build, "agent", "convert", "sluice-convert")])
    if fetched.returncode:
        sys.exit("run.py: the model could not be fetched; see above")
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    for test in loader.discover(HERE, pattern="test_*.py"):
        for case in test:
            for one in (case if isinstance(case, unittest.TestSuite) else [case]):
                if args.only in one.id():
                    suite.addTest(one)
    runner = unittest.TextTestRunner(resultclass=Recorder, verbosity=2 if args.v else 1, stream=sys.stdout)
    with tempfile.TemporaryDirectory(prefix="sluice-e2e-cache-") as cache:
        os.environ["SLUICE_TEST_CACHE"] = cache
        result = runner.run(suite)
    print("slowest:", ", ".join(f"{name} {span:.0f} s" for span, name in sorted(result.spans, reverse=True)[:12]))
    if args.results:
        with open(args.results, "a") as f:
            for line in result.lines:
                f.write("\t".join(line) + "\n")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)


if __name__ == "__main__":
    main()
