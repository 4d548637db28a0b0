#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a ctest JUnit report into the lines that run.sh counts: STATUS, name, reason."""
import sys
import xml.etree.ElementTree as ET


def main():
    path, preset = sys.argv[1:3]
    cases = list(ET.parse(path).getroot().iter("testcase"))
    for case in cases:
        skipped = case.find("skipped")
        failed = case.find("failure") is not None or case.get("status") == "fail"
        status = "failed" if failed else "skipped" if skipped is not None else "passed"
        reason = (skipped.get("message") or "") if skipped is not None and not failed else ""
        print(f"{status}\t{preset}/{case.get('name')}\t{reason}")
    sys.exit(0 if cases else 1)


main()
