# SPDX-License-Identifier: Apache-2.0
"""sluice backtest as its users call it; its figures judged again by a referee of our own in Python, from the dump."""
import csv
import json
import os
import subprocess
import tempfile
import unittest

from support import BUILD, SiteCase

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCENARIOS = os.path.join(ROOT, "tests", "scenarios")
MARKET = os.path.join(ROOT, "tests", "fixtures", "market")
SLUICE = os.path.join(BUILD, "broker", "cli", "sluice")


def backtest(*args):
    return subprocess.run([SLUICE, "backtest", *args], capture_output=True, text=True, timeout=120)


def scenario(name):
    return os.path.join(SCENARIOS, name + ".yaml")


def rounded(rate, span_ms):
    product = rate * span_ms
    half = 1800000
    return (product + half) // 3600000 if product >= 0 else -((-product + half) // 3600000)


class Referee:
    """One scenario, instance and cost: rows of the dump -> optimum and every policy's revenue."""

    def __init__(self, rows, step_ms=300000):
        self.cost = int(rows[0]["switch_cost_nusd"])
        self.modes = [key[5:] for key, value in rows[0].items() if key.startswith("true_") and value]
        self.truth = [{m: rounded(int(row["true_" + m]), step_ms) for m in self.modes} for row in rows]
        self.policies = {key[5:]: [row[key] for row in rows] for key in rows[0] if key.startswith("mode_")}

    def optimum(self):
        value = dict.fromkeys(self.modes, 0)
        for i, truth in enumerate(self.truth):
            moved = max(value.values()) - self.cost
            value = {m: (max(value[m], moved) if i else 0) + truth[m] for m in self.modes}
        return max(value.values())

    def revenue(self, policy):
        chosen = self.policies[policy]
        switches = sum(a != b for a, b in zip(chosen, chosen[1:]))
        return sum(t[m] for t, m in zip(self.truth, chosen)) - switches * self.cost, switches


class Backtest(unittest.TestCase):
    def test_the_dump_judged_again(self):
        with tempfile.TemporaryDirectory() as folder:
            dump = os.path.join(folder, "dump.csv")
            done = backtest(scenario("R1"), scenario("R4"), "--data", MARKET, "--from", "2024-05-01", "--seed", "7",
                            "--switch-cost", "30s,5min", "--json", "--dump", dump)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            with open(dump) as f:
                rows = list(csv.DictReader(f))
        cases = {}
        for row in rows:
            cases.setdefault((row["scenario"], int(row["instance"]), float(row["switch_cost_s"])), []).append(row)
        self.assertEqual(len(cases), 2 * 2 + 6 * 2)
        self.assertEqual(len(figures), len(cases) * 6)
        for key, of_case in cases.items():
            referee = Referee(of_case)
            optimum = referee.optimum()
            said = [f for f in figures if (f["scenario"], f["instance"], f["switch_cost_s"]) == key]
            self.assertEqual(len(said), 6)
            for f in said:
                self.assertEqual(f["optimum_nusd"], optimum)
                self.assertEqual((f["revenue_nusd"], f["switches"]), referee.revenue(f["policy"]))
                self.assertAlmostEqual(f["captured"], f["revenue_nusd"] / optimum, 8)

    def test_fbf_is_ahead(self):
        done = backtest(scenario("A"), scenario("R1"), scenario("R4"), scenario("R7"), "--data", MARKET, "--noise", "5%",
                        "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        sums = {}
        for f in json.loads(done.stdout):
            sums.setdefault((f["policy"], f["switch_cost_s"]), []).append(f["captured"])
        for cost in (1, 30, 300, 1800):
            best = sum(sums["fbf", cost])
            for policy in ("work-function", "percent", "minimum-time", "greedy", "fixed"):
                self.assertGreater(best, sum(sums[policy, cost]), (policy, cost))

    def test_the_page_needs_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "report.html")
            done = backtest(scenario("R4"), scenario("D"), "--data", MARKET, "--html", page)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(folder), ["report.html"])
            with open(page) as f:
                text = f.read()
        for needs in ("<link", " src=", "{{data}}", "{{dygraph.js}}", "@import"):
            self.assertFalse(needs in text, needs)
        data = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])
        self.assertEqual({c["scenario"] for c in data["cases"]}, {"R4", "D"})
        self.assertEqual(len(data["cases"]), (6 + 6) * 4)
        for case in data["cases"]:
            self.assertEqual(len(case["captured"]), len(data["policies"]))
            if case["instance"] == 0:
                last = case["series"][-1]
                self.assertEqual(last[0], case["steps"] - 1)
                for policy, share in enumerate(case["captured"]):
                    self.assertAlmostEqual(last[2 + policy] / last[1], share, 3)

    def test_seeds_repeat(self):
        one, again, other = (backtest(scenario("D"), "--seed", seed, "--json").stdout for seed in ("1", "1", "2"))
        self.assertEqual(one, again)
        self.assertNotEqual(one, other)

    def refused(self, code, words, *args):
        done = backtest(*args)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_what_is_refused(self):
        self.refused(2, "is not before", scenario("A"), "--from", "2025-01-02", "--to", "2025-01-01")
        self.refused(2, "no time such as", scenario("A"), "--from", "soon")
        self.refused(2, "there is no policy 'luck'; there are fbf", scenario("A"), "--policy", "luck")
        self.refused(2, "--noise", scenario("A"), "--noise", "nan")
        self.refused(2, "--noise", scenario("A"), "--noise", "-5%")
        self.refused(2, "--switch-cost", scenario("A"), "--switch-cost", "5 apples")
        self.refused(2, "twice", scenario("A"), "--switch-cost", "60s,1min")
        self.refused(2, "names fbf twice", scenario("A"), "--policy", "fbf,greedy,fbf")
        self.refused(2, "--seed", scenario("A"), "--seed", "-1")
        self.refused(2, "", "--data", MARKET)
        self.refused(1, "give --data DIR", scenario("R1"))
        self.refused(1, "none of the --data folders", scenario("R1"), "--data", SCENARIOS)
        self.refused(1, "leave nothing", scenario("R1"), "--data", MARKET, "--from", "2030-01-01")
        self.refused(1, "a second scenario is named A", scenario("A"), scenario("A"))
        self.refused(1, "cannot read the scenario /nonexistent.yaml", "/nonexistent.yaml")
        with tempfile.TemporaryDirectory() as folder:
            missing = os.path.join(folder, "no", "dump.csv")
            self.refused(1, missing, scenario("D"), "--dump", missing)


class OwnHistory(SiteCase):
    """What a broker recorded of its feeds is what a backtest reads."""

    parts = ("broker",)

    def test_recorded_prices_are_prices_for_a_backtest(self):
        prices = self.site.path("broker", "prices")

        def rows(least):
            found = {}
            for name in os.listdir(prices):
                with open(os.path.join(prices, name)) as f:
                    found[name] = f.read().splitlines()
            return found if found and all(len(lines) > least for lines in found.values()) else None
        self.assertTrue(self.site.wait_for(lambda: rows(1), 10), os.listdir(prices))
        self.site.append_price("61.5")
        self.site.append_price("17.25", "power.csv")
        found = self.site.wait_for(lambda: rows(2), 10)
        self.assertTrue(found, rows(1))
        self.assertEqual(len(found), len(self.site.api("GET", "/api/v1/market")["feeds"]))
        hashprice = next(name for name, lines in found.items() if lines[0] == "timestamp,usd_per_ph_day")
        power = next(name for name, lines in found.items() if lines[0] == "timestamp,usd_per_kwh")
        with open(self.site.path("mine.yaml"), "w") as f:
            f.write(f"name: mine\nhash:\n  algorithms: 1\n  usd_per_hour: 0.004\n  file: {hashprice}\n"
                    f"  column: usd_per_ph_day\npower:\n  kw: 3\n  kind: series\n  file: {power}\n"
                    "  column: usd_per_kwh\nidle:\n  offered: true\n")
        self.site.stop("broker")  # nothing is written meanwhile
        done = backtest(self.site.path("mine.yaml"), "--data", prices, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({f["scenario"] for f in json.loads(done.stdout)}, {"mine"})
        self.assertTrue(found[hashprice][-1].endswith(",61.50"), found[hashprice])


if __name__ == "__main__":
    unittest.main()
