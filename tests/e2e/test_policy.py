# SPDX-License-Identifier: Apache-2.0
"""The shipped policy on a running site: it leases and returns by bids, keeps each decision so that it can be
made again, explains any moment of the past, and says what else would have been earned."""
import json
import time
import unittest

from support import SiteCase

LOW, HIGH = "0.000001", "1000"


class Policy(SiteCase):
    options = {"policy": "fbf", "step": "500ms", "against": "2s", "fake_devices": 2, "rated": (20, 65, 65), "log_decisions": "true",
               "hash_factor": 200000000}

    def asked(self, *args):
        return json.loads(self.sluice(*args, "--json"))

    def test_decisions_are_kept_and_made_again(self):
        self.wait_modes("hash")
        time.sleep(2)
        batch = self.site.submit([f"text {i} " * 30 for i in range(20000)], HIGH)
        self.wait_modes("infer")
        time.sleep(1.1)
        between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        time.sleep(0.3)
        self.site.bid(batch, LOW)
        self.wait_modes("hash")
        made = self.asked("decisions", "--limit", "1000")["decisions"]
        rules = {d["rule"] for d in made}
        self.assertTrue({"start", "lease-enter", "lease-leave"} <= rules, rules)
        self.assertTrue(all(d["policy"] == "fbf" and len(d["policy_version"]) == 16 for d in made), made[0])
        for d in made[:6]:
            text = self.sluice("replay", d["id"])
            self.assertIn("the same, byte for byte", text)
            self.assertIn("would have earned then", text)
        self.from_a_log(made)
        text = self.sluice("explain", "/0", "--at", between)
        self.assertIn("The policy `fbf` chose infer by the rule `lease-enter`", text)
        self.assertIn("a switch cost", text)
        self.against()
        self.through_the_backtest()

    def through_the_backtest(self):
        """The market as the broker saw it, through the same code again, from nothing: the same decisions."""
        log = self.site.path("broker", "decisions.jsonl")
        copy = self.site.path("copy.jsonl")
        with open(log) as f:
            lines = f.read().split("\n")[:-1]
        with open(copy, "w") as f:
            f.write("\n".join(lines) + "\n")
        told = self.asked("backtest", "--decisions", copy)
        self.assertEqual((told["decisions"], told["same"], told["estimates_same"]), (len(lines),) * 3)
        self.assertGreaterEqual(told["steps"], 7)
        earned = {p["policy"]: float(p["revenue_usd"]) for p in told["policies"]}
        self.assertTrue(all(v <= float(told["optimum_usd"]) for v in earned.values()), told)
        self.assertGreater(earned["fbf"], 0)
        with open(copy, "w") as f:
            f.write("\n".join([lines[0], self.changed(lines[1]), *lines[2:]]) + "\n")
        self.assertIn("1 decisions come out otherwise", self.sluice("backtest", "--decisions", copy, code=1))
        with open(copy, "a") as f:
            f.write(lines[0] + "\n")
        self.assertIn(f"copy.jsonl:{len(lines) + 1}: it goes back in time",
                      self.sluice("backtest", "--decisions", copy, code=1))

    def changed(self, line):
        row = json.loads(line)
        at = 16 * 69  # the answer's best value
        row["record"] = row["record"][:at] + ("1" if row["record"][at] == "0" else "0") + row["record"][at + 1:]
        return json.dumps(row)

    def from_a_log(self, made):
        """All of them from a file, without a broker; a changed figure is found and named by its line."""
        log = self.site.path("decisions.jsonl")
        self.sluice("decisions", "--out", log)
        self.assertIn(f"{len(made)} of {len(made)} decisions come out the same",
                      self.sluice("replay", "--file", log, "--url", "http://127.0.0.1:1"))
        with open(log) as f:
            lines = f.read().splitlines()
        with open(log, "w") as f:
            f.write("\n".join([lines[0], self.changed(lines[1]), *lines[2:]]) + "\n")
        self.assertIn("decisions.jsonl:2: it comes out as", self.sluice("replay", "--file", log, code=1))
        row = json.loads(lines[1])
        for key in ("mode", "rule"):
            shown = json.dumps({**row, key: "hash" if row["mode"] == "infer" else "infer" if key == "mode" else "dwell"})
            with open(log, "w") as f:
                f.write("\n".join([lines[0], shown, *lines[2:]]) + "\n")
            self.assertIn("decisions.jsonl:2: it is shown as", self.sluice("replay", "--file", log, code=1))

    def against(self):
        rows = self.site.wait_for(lambda: (lambda r: r if len(r) >= 4 else None)(
            self.asked("ledger", "--against", "hash")["rows"]), 10)
        self.assertIsNotNone(rows)
        for row in rows:
            self.assertEqual(row["span_ms"] % 500, 0)
            self.assertLess(float(row["idle_usd"]), 0)  # 20 W are not free
            self.assertGreater(float(row["hash_usd"]), float(row["idle_usd"]))
        self.assertRegex(self.sluice("ledger", "--against", "fbf", "--device", "/0"), r"actual \S+ USD, fbf \S+ USD")
        shadows = self.asked("market", "shadows")
        self.assertEqual(shadows["policy"], "fbf")
        by_name = {s["name"]: s for s in shadows["shadows"]}
        self.assertEqual(list(by_name), ["actual", "hash", "lease", "idle", "fbf", "work-function", "percent",
                                         "minimum-time", "greedy"])
        self.assertGreater(float(by_name["actual"]["net_usd"]), float(by_name["hash"]["net_usd"]))
        self.assertIn("In force: fbf", self.sluice("market", "shadows"))

    def test_bad_requests(self):
        bad = self.site.path("bad.jsonl")
        for args, text, code in (
                (("replay",), "either", 2), (("replay", "x"), "is no decision", 2),
                (("replay", "/0@999999"), "No decision", 1),
                (("replay", "--file", "/nonexistent"), "cannot read", 1),
                (("replay", "--file", "/dev/zero"), "is no text", 1),
                (("explain", "/0", "--at", "noon"), "is no time", 2),
                (("explain", "/0", "--at", "2001-01-01T00:00:00Z"), "No decision", 1),
                (("ledger", "--device", "/0"), "--against", 2)):
            with self.subTest(args=args):
                self.assertIn(text, self.sluice(*args, code=code))
        for content, text in (("nonsense\n", "not JSON"), ('{"policy":"luck","record":"00"}\n', "no policy"),
                              ('{"policy":"fbf","record":"00"}\n', "hexadecimal"), ("\n", "no recorded decision")):
            with open(bad, "w") as f:
                f.write(content)
            with self.subTest(content=content):
                self.assertIn(text, self.sluice("replay", "--file", bad, code=1))


if __name__ == "__main__":
    unittest.main()
