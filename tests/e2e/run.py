#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: the real binaries on loopback, on this machine's OpenCL devices.

    tests/e2e/run.py --build build/ci [--results FILE] [--only NAME] [--jobs N] [-v]

Each test counts; FILE gets one line each for tests/run.sh: STATUS, name, reason. N classes run at a time (as
a default two), each in a process of its own: a site waits for its clocks, disks and peers most of the time.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "deploy", "demo")]

# What takes longest begins first, so that none of it is alone at the end.
LONGEST = ("test_fire.Fire", "test_accuracy.Accuracy", "test_hang.TestHang", "test_encoders.Encoders", "test_life.Kills",
           "test_pools.Pools")


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


def discover(only):
    """The tests by class: {"test_x.Class": [test, ...]}, in the order of their files."""
    classes = {}
    for file in unittest.TestLoader().discover(HERE, pattern="test_*.py"):
        for case in file:
            for test in (case if isinstance(case, unittest.TestSuite) else [case]):
                if only in test.id():
                    classes.setdefault(test.id().rpartition(".")[0], []).append(test)
    return classes


def run_class(tests, verbose, report):
    runner = unittest.TextTestRunner(resultclass=Recorder, verbosity=2 if verbose else 1, stream=sys.stdout)
    result = runner.run(unittest.TestSuite(tests))
    with open(report, "w") as f:
        json.dump({"lines": result.lines, "spans": result.spans, "ran": result.testsRun,
                   "well": result.wasSuccessful()}, f)


def run_apart(name, args, folder):
    """A class in a process of its own; what it said is shown when it has ended."""
    report = os.path.join(folder, name)
    command = [sys.executable, os.path.abspath(__file__), "--build", args.build, "--models", args.models,
               "--only", args.only, "--class", name, "--report", report]
    done = subprocess.run(command + ["-v"] * args.v, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with open(report) as f:
            outcome = json.load(f)
    except (OSError, ValueError):
        outcome = {"lines": [("failed", f"e2e/{name}", f"ended by itself with {done.returncode}")], "spans": [],
                   "ran": 0, "well": False}
    seconds = sum(span for span, _ in outcome["spans"])
    print(f"{name}: {outcome['ran']} tests, {seconds:.0f} s{'' if outcome['well'] else ', FAILED'}")
    if args.v or not outcome["well"]:
        print(done.stdout)
    sys.stdout.flush()
    return outcome


def run_all(args):
    classes = sorted(discover(args.only), key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluice-e2e-cache-") as cache, \
            tempfile.TemporaryDirectory(prefix="sluice-e2e-reports-") as folder, \
            concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as workers:
        os.environ["SLUICE_TEST_CACHE"] = cache
        outcomes = list(workers.map(lambda name: run_apart(name, args, folder), classes))
    spans = sorted((span for outcome in outcomes for span in outcome["spans"]), reverse=True)
    ran = sum(outcome["ran"] for outcome in outcomes)
    print("slowest:", ", ".join(f"{name} {span:.0f} s" for span, name in spans[:12]))
    print(f"Ran {ran} tests in {time.monotonic() - begun:.0f} s")
    if args.results:
        with open(args.results, "a") as f:
            for outcome in outcomes:
                for line in outcome["lines"]:
                    f.write("\t".join(line) + "\n")
    return ran > 0 and all(outcome["well"] for outcome in outcomes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "ci"))
    parser.add_argument("--models", default=os.environ.get("SLUICE_MODELS", os.path.join(ROOT, "build", "models")))
    parser.add_argument("--results")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-v", action="store_true")
    parser.add_argument("--class", dest="one", help=argparse.SUPPRESS)
    parser.add_argument("--report", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["SLUICE_BUILD"] = os.path.abspath(args.build)
    os.environ["SLUICE_MODELS"] = os.path.abspath(args.models)
    if args.one:
        run_class(discover(args.only)[args.one], args.v, args.report)
        return
    fetched = subprocess.run([os.path.join(ROOT, "deploy", "get-models.sh"), "--dir", args.models, "--convert",
                              os.path.join(args.build, "agent", "convert", "sluice-convert")])
    if fetched.returncode:
        sys.exit("run.py: the model could not be fetched; see above")
    sys.exit(0 if run_all(args) else 1)


if __name__ == "__main__":
    main()
