# SPDX-License-Identifier: Apache-2.0
"""Stress tests, shares of revenue and the rate card on a running site: every figure is computed a second
time from what the API says of devices and batches."""
import json
import time
import unittest

from sluice_site import Refused
from support import SiteCase

PPM = 1_000_000
MODES = ("idle", "hash", "infer")
DOCUMENT = """stress:
  fixed: 1000
  debt: 500
  cash: 20000
  fee_share: 2
exposure:
  coin_max: 10
  tenant_max: 10
rates:
  - {tenant: dear, usd_per_mtok: 5}
"""
TENANT = """  - id: dear
    default_bid: 10
"""


def nusd(text):
    """Exact nano-USD of a decimal text."""
    whole, _, part = text.lstrip("-").partition(".")
    value = int(whole) * 10 ** 9 + int(part.ljust(9, "0") or 0)
    return -value if text.startswith("-") else value


def lease_gross(batch, device):
    rate = next((round(m["tokens_per_s"] * 1000) for m in device["models"]), 0)
    return nusd(batch["bid_usd_per_mtok"]) * rate * 9 // 2_500_000


class Stress(SiteCase):
    options = {"fake_devices": 3, "rated": (2, 20, 25), "power_speed": 1, "hash_factor": 1_000_000_000,
               "document": DOCUMENT, "tenants_extra": TENANT}

    def stress(self, query=""):
        return self.site.api("GET", "/api/v1/stress" + query)

    def snapshot(self, query):
        """Devices and the stress test of one moment: nothing was reported between."""
        for _ in range(50):
            before = self.site.devices()
            answer = self.stress(query)
            after = self.site.devices()
            if self.figures(before) == self.figures(after):
                return before, answer
            time.sleep(0.05)
        self.fail("the devices' figures never stood still")

    @staticmethod
    def figures(devices):
        return [(d["key"], d["offers"], d["models"]) for d in devices]

    def side(self, devices, batches, lease=PPM, hashprice=PPM, power=PPM, halving=False, leaves=None):
        """The site under a shock, once more; a device takes the best of all modes."""
        total = {"hash": 0, "lease": 0, "power": 0}
        modes = {}
        for d in devices:
            costs = {m: nusd(d["offers"][m]["power_usd_per_hour"]) * power // PPM for m in MODES}
            gross = {"idle": 0, "hash": nusd(d["offers"]["hash"]["gross_usd_per_hour"]) * hashprice // PPM}
            if halving:
                gross["hash"] = nusd(d["offers"]["hash"]["gross_usd_per_hour"]) * hashprice * 102 // (200 * PPM)
            bids = [lease_gross(b, d) * lease // PPM for b in batches if b["tenant"] != leaves]
            if bids:
                gross["infer"] = max(bids)
            mode = max(gross, key=lambda m: (gross[m] - costs[m], -MODES.index(m)))
            modes[d["key"]] = mode
            total["power"] += costs[mode]
            if mode != "idle":
                total["lease" if mode == "infer" else "hash"] += gross[mode]
        return modes, total

    def check_side(self, shown, total):
        for key in ("hash", "lease", "power"):
            self.assertEqual(nusd(shown[f"{key}_usd_per_hour"]), total[key], key)
        margin = total["hash"] + total["lease"] - total["power"]
        self.assertEqual(nusd(shown["revenue_usd_per_hour"]), total["hash"] + total["lease"])
        self.assertEqual(nusd(shown["margin_usd_per_hour"]), margin)
        self.assertEqual(nusd(shown["margin_usd_per_month"]), margin * 730)
        burn = 1500 * 10 ** 9 - margin * 730
        if burn <= 0:
            self.assertEqual([shown["cover"], shown["cover_months"]], ["margin", None])
        else:
            self.assertEqual(shown["cover"], "cash")
            self.assertEqual(round(shown["cover_months"] * 1000), 20000 * 10 ** 9 * 1000 // burn)

    def check(self, query, **shock):
        devices, answer = self.snapshot(query)
        case, = answer["cases"]
        batches = [b for b in self.site.api("GET", "/api/v1/market")["batches"]]
        before, total = self.side(devices, batches)
        self.check_side(answer["before"], total)
        after, total = self.side(devices, batches, **shock)
        self.check_side(case["after"], total)
        self.assertEqual({d["key"]: d["before"]["mode"] for d in case["devices"]}, before)
        self.assertEqual({d["key"]: d["after"]["mode"] for d in case["devices"]}, after)
        stops = [k for k in after if before[k] != "idle" and after[k] == "idle"]
        self.assertEqual(case["devices_stop"], len(stops))
        self.assertEqual(sorted(d["key"] for d in case["devices"] if d["stops"]), sorted(stops))
        return answer

    def test_1_miners(self):
        self.wait_modes("hash")
        answer = self.check("?hashprice=-50%25", hashprice=500_000)
        self.assertEqual(answer["before"]["power_complete"], True)
        inputs = answer["inputs"]
        self.assertEqual(inputs["devices"], 3)
        self.assertEqual(nusd(inputs["fixed_usd_per_month"]), 1000 * 10 ** 9)
        self.assertEqual({f["id"] for f in inputs["feeds"]}, {"hashprice", "power"})
        self.assertFalse(inputs["hashprice"]["stale"])
        self.assertRegex(inputs["policy_version"], "^[0-9a-f]{16}$")
        self.check("?halving=1", halving=True)
        self.check("?power=x3", power=3 * PPM)
        self.assertEqual(self.check("?hashprice=-100%25", hashprice=0)["cases"][0]["devices_stop"], 3)

    def test_2_a_tenant_and_its_deadline(self):
        batch = self.site.submit(["words"] * 20000, "10")
        self.wait_modes("infer")
        # Lines are finished meanwhile: whatever depends on how many are left is looked at by itself.
        answer = self.check("?lease=-60%25", lease=400_000)
        one, = answer["cases"][0]["batches"]
        self.assertEqual([one["id"], one["tenant"], one["before"]], [batch, "demo", "kept"])
        left = self.check("?tenant=demo", leaves="demo")["cases"][0]
        self.assertEqual([b["after"] for b in left["batches"]], ["left"])
        self.assertEqual(left["breaches"], 0)
        gone = self.check("?lease=-100%25", lease=0)["cases"][0]
        self.assertEqual(gone["breaches"], 1)
        self.assertEqual([b["after"] for b in gone["batches"]], ["never"])
        self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        self.wait_batch(batch, "cancelled")

    def test_3_all_of_them(self):
        devices, answer = self.snapshot("?all=1")
        self.assertEqual([c["name"] for c in answer["cases"]],
                         ["lease", "hashprice", "power", "halving", "together"])
        together = answer["cases"][-1]
        self.assertEqual(together["shock"], {"lease": 0.4, "hashprice": 0.5, "power": 3.0, "halving": True,
                                             "tenant": None})
        self.check_side(together["after"], self.side(devices, [], 400_000, 500_000, 3 * PPM, True)[1])
        self.assertEqual(self.stress()["cases"][0]["name"], "lease", "nothing asked is all")

    def test_4_the_verb(self):
        shown = self.sluice("stress", "--hashprice", "-50%", "--power", "x3")
        for word in ("Prices: hash ", "USD/kWh", "Policy document: version ", "1000.00 USD fixed", "now", "asked", "Devices"):
            self.assertIn(word, shown)
        self.assertIn("together", self.sluice("stress", "--all"))
        raw = json.loads(self.sluice("stress", "--lease=-60%", "--json"))
        self.assertEqual(raw["cases"][0]["shock"]["lease"], 0.4)
        for args, said in ((("--lease", "60"), "write -60% for so much less"),
                           (("--power", "3x"), "x3 or 1.5"),
                           (("--hashprice", "-50"), "write -50% for percent"),
                           (("--tenant-leaves", "nobody"), "There is no tenant 'nobody'")):
            self.assertIn(said, self.sluice("stress", *args, code=1))
        self.assertIn("no option '--leese'", self.sluice("stress", "--leese", "1", code=2))

    def test_5_the_rate_card(self):
        self.wait_modes("hash")
        demo = self.site.tenant_key
        try:
            self.site.make_tenant("dear")
            batch = self.site.submit(["words"] * 50, "4.99")
            row, = self.site.wait_for(lambda: [c for c in self.rates()["classes"] if c["batches_below_rate"]], 10) or [{}]
            self.assertEqual(row["best_bid_usd_per_mtok"], "4.99")
            self.assertIsNone(row["rate_usd_per_mtok"], "the card has no row for every tenant")
            time.sleep(0.5)
            self.assertEqual(set(self.modes()), {"hash"}, "a bid below the rate was served")
            self.assertIn("no bid at the rate card's rate", self.sluice("explain", self.site.devices()[0]["key"]))
            shown = self.sluice("market", "rates")
            for word in ("dear", "4.99", "Rate card", "Reference rates"):
                self.assertIn(word, shown)
            self.site.bid(batch, "5")
            self.wait_batch(batch)
        finally:
            self.site.tenant_key = demo
        self.check_ledger()

    def rates(self):
        return self.site.api("GET", "/api/v1/market/rates")

    def test_6_shares_of_revenue(self):
        batch = self.site.submit(["words"] * 50, "10")
        self.wait_batch(batch)
        self.site.wait_for(lambda: self.query("SELECT 1 FROM transfers WHERE credit = 'revenue:hash'"), 20)
        sums = {}
        sql = "SELECT credit, debit, sum(amount_nusd) FROM transfers WHERE credit LIKE 'revenue:%' GROUP BY 1, 2"
        # Shares come all the time: counted until nothing was posted between.
        for _ in range(100):
            sums = self.query(sql)
            answer = self.site.api("GET", "/api/v1/exposure")
            if self.query(sql) == sums:
                break
        month = answer["windows"][1]
        total = sum(row[2] for row in sums)
        self.assertEqual(nusd(month["revenue_usd"]), total)
        names = {("sha256d" if credit == "revenue:hash" else debit.split(":")[1]): amount
                 for credit, debit, amount in sums}
        self.assertEqual({s["name"]: nusd(s["revenue_usd"]) for s in month["sources"]}, names)
        for source in month["sources"]:
            share = names[source["name"]] / total
            self.assertAlmostEqual(source["share"], share, 6)
            self.assertEqual(source["over"], share > 0.1)
        self.assertAlmostEqual(month["hhi"], sum((n / total) ** 2 for n in names.values()), 4)
        self.assertIn("HHI", self.sluice("exposure"))
        self.assertIn("sluice_revenue_hhi", self.site.raw("GET", "/metrics").decode())
        self.assertIn("exposure.over", self.site.log_tail("broker", 1000))

    def test_7_tenants_may_not_look(self):
        for path in ("/api/v1/stress", "/api/v1/exposure", "/api/v1/market/rates"):
            with self.assertRaises(Refused) as refused:
                self.site.api("GET", path, key=self.site.tenant_key)
            self.assertEqual(refused.exception.status, 403)


if __name__ == "__main__":
    unittest.main()
