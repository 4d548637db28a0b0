# SPDX-License-Identifier: Apache-2.0
"""Whom to believe, and what was really paid: three sources of the hashprice of which one lies, quarrels, and
settlements from a CSV."""
import os
import time
import unittest
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from sluice_site import DATA
from support import SiteCase

with open(os.path.join(DATA, "sentences.txt"), encoding="utf-8") as f:
    TEXTS = [line.rstrip("\n") for line in f]

PRICE = 45
SOURCES = ("hashprice", "second", "third")


class Trust(SiteCase):
    # A share every second or so: at the usual difficulty half a minute may pass without one.
    options = {"fake_devices": 2, "difficulty": 0.00002, "hash_factor": 10000000,
               "policy_document": "feeds:\n  confirm: 1h\n",
               "feeds_extra": "".join(f"""  - id: {name}
    role: hashprice
    unit: usd_per_ph_day
    path: FEEDS/{name}.csv
    column: hashprice_usd_per_ph_day
    speed: 1
    age_max: 400d
""" for name in SOURCES[1:])}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in SOURCES:
            cls.write_price(cls.site, name, PRICE)

    @staticmethod
    def write_price(site, name, usd):
        path = site.path("feeds", f"{name}.csv")
        with open(path + ".new", "w") as f:
            f.write(f"timestamp,hashprice_usd_per_ph_day\n2025-01-01T00:00:00Z,{usd}\n")
        os.rename(path + ".new", path)

    def say(self, usd, *names):
        """Writes prices and waits until the broker has read them."""
        for name in names:
            self.write_price(self.site, name, usd)
        self.assertTrue(self.site.wait_for(lambda: all(
            Decimal(f["value"] or 0) == Decimal(str(usd)) for f in self.market()["feeds"] if f["id"] in names),
            10, 0.05), self.market())

    def market(self):
        return self.site.api("GET", "/api/v1/market/feeds")

    def price(self):
        return next(p for p in self.market()["prices"] if p["role"] == "hashprice")

    def feed(self, name):
        return next(f for f in self.market()["feeds"] if f["id"] == name)

    def directives(self):
        return self.query("SELECT count(*) FROM directives")[0][0]

    def bid_of(self, share):
        """The bid at which a lease earns so many times what hashing does."""
        device = self.site.devices()[0]
        offers = device["offers"]
        hash_usd = Decimal(offers["hash"]["gross_usd_per_hour"])
        lease_usd = Decimal(offers["infer"]["gross_usd_per_hour"])
        bid = Decimal(self.site.api("GET", "/api/v1/market")["batches"][0]["bid_usd_per_mtok"])
        return f"{bid * hash_usd * Decimal(share) / lease_usd:.9f}"

    def hold_still(self, mode):
        self.wait_modes(mode, 10)
        time.sleep(0.5)
        return self.directives()

    def test_1_one_of_three_lies(self):
        self.wait_modes("hash", 20)
        batch = self.site.submit(TEXTS, "0.0000001", "probe")
        probe = None
        for bid in ("0.0000002", "0.000001", "0.00001"):  # what a lease earns is shown while a batch waits
            self.site.bid(batch, bid)
            gross = self.site.wait_for(lambda: self.site.devices()[0]["offers"]["infer"]["gross_usd_per_hour"], 5)
            if Decimal(gross or 0) > 0:
                probe = self.bid_of("0.33")
                break
        self.assertIsNotNone(probe, "no offer of a lease was seen")
        self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        self.wait_modes("hash", 20)
        batch = self.site.submit(TEXTS, probe)
        before = self.hold_still("hash")
        for lie in (PRICE / 10, PRICE * 10):
            for liar in SOURCES:
                self.say(lie, liar)
                self.assertEqual(self.feed(liar)["out"], "too far from the median")
                self.assertFalse(self.feed(liar)["counts"])
                self.assertEqual(Decimal(self.price()["value"]), PRICE)
                self.assertEqual(self.price()["state"], "trusted")
                time.sleep(0.4)
                self.say(PRICE, liar)
        self.assertEqual(self.directives(), before, "a device was moved by a source that lies")
        # When most say so, it is so: the lie was one that would have moved devices.
        self.say(PRICE / 10, "second", "third")
        self.wait_modes("infer", 10)
        self.assertEqual(self.feed("hashprice")["out"], "too far from the median")
        self.say(PRICE, "second", "third")
        self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        self.wait_batch(batch, "cancelled")
        self.wait_modes("hash", 20)

    def test_2_sources_that_quarrel_move_nothing(self):
        before = self.hold_still("hash")
        self.write_price(self.site, "third", "nonsense")
        self.assertTrue(self.site.wait_for(lambda: self.feed("third")["out"] == "its last word was no price", 5))
        self.assertEqual(self.price()["state"], "trusted")
        self.say(PRICE * 2, "second")
        self.assertEqual((self.price()["state"], self.price()["hold"]), ("held", "sources disagree"))
        self.assertEqual(Decimal(self.price()["value"]), PRICE, "the last trusted price is shown")
        batch = self.site.submit(TEXTS[:20], "1000")
        time.sleep(1)
        self.assertEqual(self.directives(), before, "a device was moved while sources quarrel")
        device = self.site.devices()[0]["key"]
        self.assertIn("hold", self.sluice("explain", device))
        self.sluice("pin", device, "infer")  # people act
        self.assertTrue(self.site.wait_for(lambda: self.directives() > before, 5))
        self.sluice("resume", device)
        text = self.sluice("market", "feeds")
        self.assertRegex(text, r"hashprice sha256d +45(\.00)? +USD/PH/s/day \(sha256d\) +0 of 3 .*held: sources disagree")
        self.assertRegex(text, r"third .*no +its last word was no price")
        self.assertRegex(text, r"second +90(\.00)? .*no +sources disagree")
        # Its neighbour alone is far from what was believed: it has to be confirmed.
        self.write_price(self.site, "hashprice", "nonsense")
        self.assertTrue(self.site.wait_for(lambda: (self.price()["hold"] or "").startswith("sources disagree") is False
                                           and self.feed("hashprice")["out"], 5))
        self.assertEqual(self.price()["state"], "trusted")  # x 2 is no jump yet
        self.say(PRICE * 10, "second")
        self.assertIn("jumped", self.price()["hold"])
        self.assertGreater(self.price()["confirmed_in_ms"], 3500000)
        self.say(PRICE, *SOURCES)
        self.assertTrue(self.site.wait_for(lambda: (self.price()["state"], self.price()["agree"]) == ("trusted", 3), 5),
                        self.market())
        self.wait_batch(batch)
        self.wait_modes("hash", 20)

    # ---- settlements ----

    def csv(self, *lines, name="settled.csv"):
        path = self.site.path(name)
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def revenue(self):
        return {k: Decimal(v) for k, v in self.site.api("GET", "/api/v1/status")["hash_revenue"].items()
                if k.endswith("_usd")}

    def test_3_files_that_are_not_taken(self):
        head = "from,to,pool,amount,currency"
        cases = [
            (("from,to,pool,amount",), "1: the column 'currency' is missing"),
            (("from,to,pool,amount,currency,fee",), "1: unknown column 'fee'"),
            (("from,to,amount,currency",), "1: there must be one column 'pool'"),
            (("from,to,from,pool,amount,currency",), "1: the column 'from' is there twice"),
            ((head,), "there are no rows"),
            ((head, "2026-01-01,2026-01-02,p,-1,USD"), "2: amount '-1' is negative"),
            ((head, "2026-01-01,2026-01-02,p,1e3,USD"), "2: amount '1e3' is no decimal number"),
            ((head, "2026-01-01,2026-01-02,p,1,usd"), "2: currency 'usd' is no code"),
            ((head, "2026-01-02,2026-01-01,p,1,USD"), "2: the span ends before it begins"),
            ((head, "2026-01-01,2026-01-02,p,1"), "2: 4 values, but 5 columns"),
            ((head, "2026-01-03,2026-01-04,p,1,USD", "2026-01-01,2026-01-02,p,1,USD"), "3: 'from' is earlier"),
            ((head, "2026-01-01,2026-01-03,p,1,USD", "2026-01-02,2026-01-04,p,1,USD"), "3: its span overlaps"),
            ((head, "2026-01-01,2026-01-02,p,1,USD", "2026-01-01,2026-01-02,p,1,USD"), "3: its span overlaps"),
            ((head, "1 January,2026-01-02,p,1,USD"), "2: '1 January' to"),
            ((head, '2026-01-01,2026-01-02,"p",1,USD'), "2: a value is too long, or in quotes"),
            ((head, "2026-01-01,2999-01-02,p,1,USD"), "line 2: its span must end after it begins, and not in the future"),
            ((head, "2026-01-01,2026-01-02,p,1,BTC"), "line 2: no fresh BTC price"),
            (("from,to,node,amount,currency", "2026-01-01,2026-01-02,nobody,1,USD"), "there is no node 'nobody'"),
        ]
        for lines, said in cases:
            with self.subTest(said=said):
                self.assertIn(said, self.sluice("settle", "import", self.csv(*lines), code=1))
        self.assertEqual(self.query("SELECT count(*) FROM settlements"), [(0,)])
        self.sluice("settle", "import", code=2)
        self.assertIn("operator", self.sluice("settle", "import", self.csv(head, "2026-01-01,2026-01-02,p,1,USD"),
                                              key=self.site.tenant_key, code=1))

    def test_4_what_was_really_paid(self):
        self.assertTrue(self.site.wait_for(lambda: self.revenue()["estimated_usd"] > 0, 30), "no share was accepted")
        self.assertEqual(self.revenue()["settled_usd"], 0)
        time.sleep(1.1)
        to = datetime.now(timezone.utc).replace(microsecond=0)
        begin = to - timedelta(days=3)
        span = f"{begin:%Y-%m-%dT%H:%M:%SZ},{to:%Y-%m-%dT%H:%M:%SZ}"
        time.sleep(1.1)  # shares on their way come in
        file = self.csv("from,to,pool,amount,currency", f"{span},somepool,0.000001,USD")
        text = self.sluice("settle", "import", file, "--check")
        self.assertIn("1 rows would be taken; nothing was changed", text)
        self.assertEqual(self.query("SELECT count(*) FROM settlements"), [(0,)])
        quoted = self.query("SELECT coalesce(sum(amount_nusd),0) FROM shares WHERE outcome=1 AND at_ms>=? AND at_ms<?",
                            int(begin.timestamp() * 1000), int(to.timestamp() * 1000))[0][0]
        paid = Decimal(quoted * 9 // 10) / 10**9
        file = self.csv("from,to,pool,amount,currency", f"{span},somepool,{paid:.9f},USD")
        self.assertIn("1 rows settled", self.sluice("settle", "import", file))
        self.assertEqual(self.query("SELECT settled_nusd, quoted_nusd FROM settlements"),
                         [(quoted * 9 // 10, quoted)])
        self.assertIn("a part of its span is settled already", self.sluice("settle", "import", file, code=1))
        self.assertEqual(self.revenue()["settled_usd"], paid)
        ledger = self.sluice("ledger", "--transfers", "1000")
        for word in ("cash:pool", "revenue:hash-adjustment", "settlement/1", "settled", "adjustment",
                     "USD estimated from quotes", "ledger balanced"):
            self.assertIn(word, ledger)
        self.assertIn("somepool", self.sluice("settle", "ls"))
        self.assertIn("settle", [row["action"] for row in self.site.api("GET", "/api/v1/audit")["audit"]])
        # Three days at 0.9: 1 - 0.1 x (1 - 0.8^3).
        factor = self.price()["calibration"]
        self.assertAlmostEqual(factor, 0.9512, 3)  # whole nano-dollars were paid
        self.assertIn(str(factor), self.sluice("market", "feeds"))
        self.check_ledger()
        self.site.stop("broker")
        self.site.start_broker()
        self.assertEqual(self.price()["calibration"], factor)
        self.assertEqual(self.revenue()["settled_usd"], paid)
        self.assertIn("a part of its span is settled already", self.sluice("settle", "import", file, code=1))
        self.check_ledger()


if __name__ == "__main__":
    unittest.main()
