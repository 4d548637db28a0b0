#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a ctest JUnit report into the lines that run.sh counts: STATUS, name, reason.

    count.py REPORT BUILD

A program counts once. Each of its cmocka tests that called skip() counts as well, as skipped, with the
line that the test printed before it as the reason; a program all of whose tests were skipped is not passed.
"""
import re
import sys
import xml.etree.ElementTree as ET


def skips(text):
    """(test, reason) of each skipped cmocka test, in the order of the output."""
    found = {}
    last = ""
    for line in text.splitlines():
        mark = re.match(r"\[ *(RUN|SKIPPED) *\] (\S+)$", line)
        if mark and mark.group(1) == "RUN":
            last = ""
        elif mark:
            # Named a second time in cmocka's summary: that counts where stderr fell into the first line.
            found.setdefault(mark.group(2), last or "the test printed no reason")
            last = ""
        elif line.startswith("["):
            last = ""
        elif line.strip():
            last = " ".join(line.split())
    return list(found.items())


def count(root, build):
    for case in root.iter("testcase"):
        name = f"{build}/{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.get("status") == "fail":
            yield "failed", name, ""
            continue
        if skipped is not None:
            yield "skipped", name, skipped.get("message") or ""
            continue
        text = case.findtext("system-out") or ""
        tests = skips(text)
        ran = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M))
        if ran or not tests:
            yield "passed", name, ""
        for test, reason in tests:
            yield "skipped", f"{name}/{test}", reason


def main():
    path, build = sys.argv[1:3]
    lines = list(count(ET.parse(path).getroot(), build))
    for line in lines:
        print("\t".join(line))
    sys.exit(0 if lines else 1)


if __name__ == "__main__":
    main()
