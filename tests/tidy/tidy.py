#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that a compiler does not check. Exits with 1 and one line a violation.

    tidy.py ROOT

Directions of includes (who may use whom), mutable variables at file scope, floats in money code,
over-long files, functions, headers and lines, clocks read outside proto/base/clock.c, marks of
unfinished work, a source without its unit test, options of which no document speaks (documents.py). An exception stands in the code beside its reason:
`tidy: allow RULE (reason)` on the same line or the line before.
"""
import os
import re
import subprocess
import sys

from documents import Documents

FILE_MAX = 600
FUNCTION_MAX = 70
HEADER_MAX = 200
LINE_MAX = 100

# folder -> folders whose headers it may include. The first match counts.
MAY_USE = [
    ("proto/base", ["proto/base"]),
    ("proto/conf", ["proto/base", "proto/conf"]),
    ("proto/wire", ["proto/base", "proto/wire"]),
    ("proto/link", ["proto/base", "proto/link"]),
    ("schedulers", ["proto/base", "schedulers"]),
    ("broker/core", ["proto/base", "proto/wire", "proto/link/link.h", "schedulers", "broker/core",
                     "broker/store/store.h", "broker/policy/document.h"]),
    ("broker/store", ["proto/base", "proto/wire/msg", "broker/core/types.h",
                      "broker/core/settlement.h", "broker/store"]),
    ("broker/feeds", ["proto/base", "broker/core/core.h", "broker/feeds"]),
    ("broker/batch", ["proto/base", "proto/wire/msg", "broker/core", "broker/store", "broker/batch"]),
    ("broker/http", ["proto/base", "proto/link/token.h", "schedulers/exposure.h", "schedulers/shock.h", "broker/core", "broker/store",
                     "broker/batch", "broker/http"]),
    ("broker/backtest", ["proto/base", "proto/conf/conf.h", "schedulers", "broker/feeds/csv.h",
                         "broker/backtest"]),
    ("broker/policy", ["proto/base", "proto/conf/conf.h", "schedulers", "broker/policy"]),
    ("broker/cli", ["proto/base", "schedulers", "broker/backtest", "broker/policy", "broker/cli"]),
    ("broker/shell", ["proto", "broker"]),
    ("agent/stratum", ["proto/base", "agent/stratum"]),
    ("agent/models", ["proto/base", "agent/models"]),
    ("agent/convert", ["proto/base", "agent/models", "agent/convert"]),
    ("agent/kernels", ["proto/base", "agent/kernels"]),
    ("agent/device", ["proto/base", "agent/device", "agent/executors", "agent/kernels",
                      "agent/stratum"]),
    ("agent/executors", ["proto/base", "agent/device", "agent/executors", "agent/kernels",
                         "agent/models", "agent/stratum"]),
    ("agent/telemetry", ["proto/base", "proto/wire/msg_telemetry.h", "agent/device/device.h",
                         "agent/device/power.h", "agent/telemetry"]),
    ("agent/journal", ["proto/base", "agent/journal"]),
    ("agent/core", ["proto/base", "proto/wire", "proto/link/link.h", "agent/device/device.h",
                    "agent/journal", "agent/stratum", "agent/core"]),
    ("agent/shell", ["proto", "agent"]),
    ("tests", ["proto", "schedulers", "broker", "agent", "tests"]),
]

# third-party header -> folders that may include it
THIRD_PARTY = {
    r"CL/": ["agent/device", "agent/executors", "tests"],
    r"hwloc": ["agent/device", "tests"],
    r"zmq\.h": ["proto/link", "tests"],
    r".*pb-c\.h|protobuf-c": ["proto/wire", "tests"],
    r"sqlite3\.h": ["broker/store", "tests"],
    r"microhttpd\.h": ["broker/http", "tests"],
    r"curl/": ["broker/feeds", "broker/cli", "tests"],
    r"yaml\.h": ["proto/conf", "tests"],
    r"zlib\.h": ["broker/batch", "tests"],
    r"gnutls/": ["agent/shell", "broker/feeds", "tests"],
    r"utf8proc\.h": ["agent/models", "tests"],
    r"uv\.h": ["broker/shell", "agent/shell", "tests"],
}

# Folders (or files) that handle money: integers only.
MONEY = ["proto/base/money", "schedulers", "broker/core", "broker/store", "proto/wire"]
# Estimates that are rounded to integers before anything is compared; made-up markets.
ESTIMATES = re.compile(r"^schedulers/(backtest|band|baselines|claims|class|decision|fbf|random|real|scenario|switching|work_function)\.[ch]$")

SKIP_TEST_MIRROR = re.compile(
    r"/(main|embedded)\.c$|^broker/(shell|cli)/|^agent/(shell|convert|kernels)/")


def strip_comments(text):
    """Comments and string contents become blanks; line structure stays."""
    def blank(match):
        s = match.group(0)
        if s.startswith("/"):
            return re.sub(r"[^\n]", " ", s)
        return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "ARCHITECTURE.md", "HACKING.md", "LICENSE",
             ".ci", ".clang-format", ".clang-tidy", ".gitignore",
             "agent", "broker", "deploy", "docs", "proto", "schedulers", "tests"}


class Tidy:
    def __init__(self, root):
        self.root = root
        self.violations = []

    def say(self, path, line, rule, text, lines):
        for at in (line - 1, line - 2):
            if 0 <= at < len(lines) and f"tidy: allow {rule}" in lines[at]:
                return
        self.violations.append(f"{path}:{line}: {rule}: {text}")

    def sources(self):
        for top in ("proto", "schedulers", "broker", "agent", "tests"):
            for folder, dirs, names in os.walk(os.path.join(self.root, top)):
                dirs[:] = sorted(d for d in dirs if d not in ("out", "__pycache__"))
                for name in sorted(names):
                    if name.endswith((".c", ".h", ".cl")):
                        yield os.path.relpath(os.path.join(folder, name), self.root)

    def check_includes(self, path, lines):
        allowed = next((may for folder, may in MAY_USE if path.startswith(folder + "/")), None)
        for number, line in enumerate(lines, 1):
            own = re.match(r'\s*#include "([^"]+)"', line)
            if own and "/" in own.group(1) and allowed is not None:
                target = own.group(1)
                if ".pb-c.h" not in target and not any(target.startswith(a) for a in allowed):
                    self.say(path, number, "include", f"{target} is not for this folder", lines)
            other = re.match(r"\s*#include [<\"]([^>\"]+)[>\"]", line)
            if other:
                for pattern, folders in THIRD_PARTY.items():
                    if re.match(pattern, other.group(1)) and not any(
                            path.startswith(f + "/") for f in folders):
                        self.say(path, number, "include",
                                 f"{other.group(1)} may be used in {', '.join(folders)} only",
                                 lines)

    def check_lengths(self, path, lines, code):
        limit = HEADER_MAX if path.endswith(".h") else FILE_MAX
        if len(lines) > limit:
            self.say(path, 1, "length", f"{len(lines)} lines, {limit} allowed", lines)
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_MAX:
                self.say(path, number, "width", f"{len(line)} columns", lines)
        start = None
        for number, line in enumerate(code, 1):
            if re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line) or re.match(r"^\s{2,}.*\)\s*\{\s*$", line) \
                    and start is None and re.match(r"^[A-Za-z_].*\($|^[A-Za-z_][^;{}]*,\s*$",
                                                   self.head_of(code, number)):
                start = number if start is None else start
            if line.startswith("}") and start is not None:
                if number - start + 1 > FUNCTION_MAX:
                    self.say(path, start, "function",
                             f"{number - start + 1} lines, {FUNCTION_MAX} allowed", lines)
                start = None

    @staticmethod
    def head_of(code, number):
        for at in range(number - 2, max(-1, number - 10), -1):
            if re.match(r"^[A-Za-z_]", code[at]):
                return code[at]
        return ""

    def check_globals(self, path, lines, code):
        if not path.endswith(".c") or path.startswith("tests/"):
            return
        depth = 0
        statement = ""
        first = 0
        macro = False
        for number, line in enumerate(code, 1):
            inside_macro = macro or line.lstrip().startswith("#")
            macro = inside_macro and line.rstrip().endswith("\\")
            if inside_macro:
                continue
            if depth == 0:
                if not statement.strip():
                    first = number
                statement += " " + line.split("{")[0].split("=")[0]
            opened = line.count("{") - line.count("}")
            if depth == 0 and ("=" in line or ";" in line or "{" in line):
                text = statement.strip()
                if ("(" not in text and text and "const" not in text and not re.match(
                        r"^(struct|enum|union)\s+\w+\s*;?$|^(typedef|extern|enum)\b|^SL_\w+", text)
                        and re.match(r"^(static\s+)?(_Atomic\s+|_Thread_local\s+|volatile\s+)*"
                                     r"[\w ]+[\s*]+\w+(\[[^\]]*\])*\s*;?$", text)):
                    self.say(path, first, "mutable", f"variable at file scope: {text}", lines)
                statement = ""
            depth += opened
            if depth == 0 and line.rstrip().endswith("}"):
                statement = ""

    def check_text(self, path, lines, code):
        money = any(path.startswith(m) for m in MONEY) and not ESTIMATES.match(path)
        for number, line in enumerate(code, 1):
            if money and re.search(r"\b(float|double|strtod|atof)\b", line):
                self.say(path, number, "float", "money is integer", lines)
            if "clock_gettime" in line and path != "proto/base/clock.c" \
                    and not path.startswith("tests/"):
                self.say(path, number, "clock", "only proto/base/clock.c reads clocks", lines)
            if re.search(r"\b(strcpy|strcat|sprintf|gets|atoi|atol)\s*\(", line) \
                    and not path.startswith("tests/"):
                self.say(path, number, "banned", "use the bounded form", lines)
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                self.say(path, number, "mark", "unfinished work", lines)
        if "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
            self.say(path, 1, "licence", "the first line names the licence", lines)

    def check_mirror(self, path, lines):
        if not path.endswith(".c") or path.startswith("tests/") or SKIP_TEST_MIRROR.search(path):
            return
        folder, name = os.path.split(path)
        stem = name[:-2]
        tests = os.path.join(self.root, "tests/unit", folder)
        names = os.listdir(tests) if os.path.isdir(tests) else []
        # A file of a larger module is covered by the module's test (cl_device.c by test_cl.c, say).
        if not any(n == f"test_{stem}.c" or stem.startswith(n[5:-2]) or n[5:-2].startswith(stem)
                   for n in names if n.startswith("test_") and n.endswith(".c")):
            if not any(f'"{folder}/{stem}.h"' in open(os.path.join(tests, n)).read()
                       for n in names if n.endswith(".c")):
                if os.path.exists(os.path.join(self.root, folder, stem + ".h")):
                    self.say(path, 1, "mirror", f"no tests/unit/{folder}/test_{stem}.c", lines)

    def tracked(self):
        """What git keeps; nothing in a tree that it does not know (an unpacked archive)."""
        try:
            found = subprocess.run(["git", "-C", self.root, "ls-files", "-z"], capture_output=True, check=False)
        except OSError:
            return []
        return found.stdout.decode().split("\0")[:-1] if found.returncode == 0 else []

    def check_top(self, paths):
        """A scratch file that `git add -A` took along shows here first."""
        for name in sorted({path.split("/")[0] for path in paths}):
            if name not in TOP_LEVEL:
                self.say(name, 1, "top", "nothing else belongs to the top of the tree", [])

    def run(self):
        self.check_top(self.tracked())
        for path in self.sources():
            with open(os.path.join(self.root, path), encoding="utf-8") as f:
                text = f.read()
            lines = text.split("\n")
            if lines and lines[-1] == "":
                lines.pop()
            code = strip_comments(text).split("\n")
            self.check_includes(path, lines)
            self.check_lengths(path, lines, code)
            self.check_globals(path, lines, code)
            self.check_text(path, lines, code)
            self.check_mirror(path, lines)
        return self.violations


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    violations = Tidy(sys.argv[1]).run() + Documents(sys.argv[1]).run()
    for violation in violations:
        print(violation)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
