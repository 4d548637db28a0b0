#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py is broken once in a small tree and must be found; a clean tree must pass."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from documents import Documents  # noqa: E402
from tidy import Tidy  # noqa: E402

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"

CASES = [
    ("include", "schedulers/a.c", '#include "broker/core/core.h"\n'),
    ("include", "broker/core/a.c", '#include "agent/device/device.h"\n'),
    ("include", "broker/core/a.c", "#include <CL/cl.h>\n"),
    ("include", "agent/core/a.c", '#include "schedulers/policy.h"\n'),
    ("include", "agent/core/a.c", "#include <zmq.h>\n"),
    ("mutable", "proto/base/a.c", "static int counter;\n"),
    ("mutable", "broker/core/a.c", "int shared = 3;\n"),
    ("mutable", "broker/core/a.c", "static struct sl_thing table[4];\n"),
    ("float", "proto/base/money.c", "static int f(void) {\n    double x = 1;\n    return (int)x;\n}\n"),
    ("float", "broker/core/a.c", "static float rate(void);\n"),
    ("length", "proto/base/a.c", "\n" * 601),
    ("length", "proto/base/a.h", "\n" * 201),
    ("width", "proto/base/a.c", "/* " + "x" * 100 + " */\n"),
    ("function", "proto/base/a.c", "static void f(void) {\n" + "    g();\n" * 70 + "}\n"),
    ("clock", "broker/core/a.c", "static void f(void) {\n    clock_gettime(0, 0);\n}\n"),
    ("banned", "broker/core/a.c", "static void f(void) {\n    strcpy(a, b);\n}\n"),
    ("mark", "broker/core/a.c", "/* " + "TO" + "DO */\n"),
    ("mirror", "proto/base/b.c", "static void f(void);\n"),
]


def run(path, text, head=HEAD):
    with tempfile.TemporaryDirectory() as root:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="utf-8") as f:
            f.write(head + text)
        if "mirror" not in path and path.endswith("/b.c"):
            with open(full[:-1] + "h", "w", encoding="utf-8") as f:
                f.write(HEAD)
        return Tidy(root).run()


class Rules(unittest.TestCase):
    def test_each_rule_finds_its_violation(self):
        for rule, path, text in CASES:
            with self.subTest(rule=rule, path=path):
                found = run(path, text)
                self.assertTrue(any(f": {rule}: " in v for v in found), found)

    def test_licence_line(self):
        self.assertTrue(any(": licence: " in v for v in run("proto/base/a.c", "int f(void);\n", "")))

    def test_exception_with_its_reason_is_respected(self):
        text = "/* tidy: allow mutable (why) */\nstatic int counter;\n"
        self.assertEqual(run("proto/base/a.c", text), [])

    def test_a_scratch_file_at_the_top_is_seen(self):
        tidy = Tidy("/")
        tidy.check_top(["README.md", "broker/core/core.c", "scratch.py"])
        self.assertEqual(tidy.violations, ["scratch.py:1: top: nothing else belongs to the top of the tree"])

    def judge(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return [violation.split(": document: ")[1] for violation in Documents(root).run()]

    def test_usage_and_manual_speak_of_the_same(self):
        files = {"broker/shell/main.c": 'static const char usage[] = "  --config FILE  --force";\n',
                 "deploy/man/sluice-broker.8": ".It Fl -config Ar FILE\n.It Fl -old\n"}
        self.assertEqual(self.judge(files), ["--force, of which broker/shell/main.c speaks, is not there",
                                             "broker/shell/main.c does not speak of --old"])
        files["deploy/man/sluice-broker.8"] = ".It Fl -config Ar FILE\n.Op Fl -force\n"
        self.assertEqual(self.judge(files), [])

    def test_verbs_of_sluice_are_described(self):
        files = {"broker/cli/main.c": '    {"top", "[--once]", "live", f},\n    {"logs", "", "", g},\n',
                 "deploy/man/sluice.1": ".It Cm top Op Fl -once\n", "docs/cli.md": "### top\n`--once` prints\n"}
        self.assertEqual(self.judge(files), ["the verb logs is not there"] * 2)

    def test_options_of_a_configuration_are_described(self):
        files = {"agent/shell/config_pool.h": '{PREFIX "url",   \\\n SL_CONF_TEXT}, {PREFIX "user", SL_CONF_TEXT}\n',
                 "docs/operating.md": "`pool.url`"}
        self.assertEqual(len(self.judge(files)), 1)
        self.assertIn("the option user", self.judge(files)[0])

    def test_metrics_and_warnings_are_described(self):
        files = {"broker/http/metrics.c": 'one(buf, "sluice_new_total", "counter"); put("sluice_old{mode=");\n',
                 "agent/core/core.c": 'log(SL_LOG_WARN,\n    "message.odd", "x"); log(SL_LOG_INFO, "a.b", "x");\n',
                 "docs/api.md": "`sluice_old{mode}` `sluice_gone`", "docs/operating.md": ""}
        self.assertEqual(self.judge(files), ["the metric sluice_new_total is not there",
                                             "the broker has no metric sluice_gone",
                                             "the log's warning message.odd is not there"])

    def test_clean_code_passes(self):
        text = ('#include "proto/base/error.h"\n#include <stdio.h>\n'
                "static const char *const names[] = {\"float\", 0};\n"
                "static int f(int a) {\n    return a; /* a double meaning */\n}\n")
        self.assertEqual(run("broker/core/a.c", text), [])


if __name__ == "__main__":
    unittest.main()
