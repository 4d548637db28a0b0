# SPDX-License-Identifier: Apache-2.0
"""Strike prices, caps and energy on a running site; policy documents that are refused by name."""
import json
import os
import subprocess
import unittest

from support import SiteCase

RATED = (2, 20, 15)  # watts: hashing on the fake devices pays for them at every price here
STRIKE = """power:
  strike:
    - {class: "*", price: 0.12}
  confirm: 1s
  resume: 2s
  resume_margin: 0.01
"""


class Power(SiteCase):
    options = {"fake_devices": 2, "rated": RATED, "hash_factor": 1000000000, "ttl": "2s", "safe_mode": "idle", "policy_file": "policy.yaml",
               "agent_extra": "safe_mode: idle\n"}

    @classmethod
    def prepared(cls):
        with open(cls.site.path("policy.yaml"), "w") as f:
            f.write(STRIKE)
        with open(cls.site.path("feeds", "hashprice.csv"), "w") as f:  # hashing pays at every price of power here
            f.write("timestamp,hashprice_usd_per_ph_day\n2025-12-01T00:00:00Z,4000\n")
        cls.set_power(cls.site, 60)

    @staticmethod
    def set_power(site, usd_per_mwh):
        path = site.path("feeds", "power.csv")
        with open(path + ".new", "w") as f:
            f.write(f"timestamp,usd_per_mwh\n2025-01-01T00:00:00Z,{usd_per_mwh}\n")
        os.rename(path + ".new", path)

    def power(self):
        return self.site.api("GET", "/api/v1/power")

    def drawn(self):
        return sum(RATED[("idle", "hash", "infer").index(mode)] for mode in self.modes() if mode)

    def restart(self, policy, **options):
        self.site.stop("broker")
        with open(self.site.path("policy.yaml"), "w") as f:
            f.write(policy)
        self.site.options.update(options)
        self.site.write_broker_config()
        self.site.start_broker()

    def test_1_a_spike_curtails_and_the_site_comes_back(self):
        self.wait_modes("hash")
        self.set_power(self.site, 300)
        self.wait_modes("idle", 10)
        rows = self.site.devices()
        self.assertEqual([row["rule"] for row in rows], ["curtail", "curtail"])
        said = self.sluice("explain", rows[0]["key"])
        self.assertIn("power 0.30 USD/kWh, strike price 0.12 of class '*'", said)
        answer = self.power()
        self.assertEqual(answer["classes"][0]["state"], "curtailed")
        self.assertEqual(answer["power"]["devices_curtailed"], 2)
        self.assertEqual(answer["devices"][0]["source"], "rated")
        self.assertTrue(self.site.wait_for(lambda: float(self.power()["power"]["energy_kwh"]["curtailed"]) > 0, 5))
        text = self.sluice("power")
        self.assertIn("0.30 USD/kWh (feed)", text)
        self.assertIn("curtailed", text)
        self.assertIn("2.0 W (rated)", text)
        self.assertIn("hash", self.sluice("status"))
        self.set_power(self.site, 115)  # below the strike price, but not by the margin
        self.site.wait_for(lambda: False, 3)
        self.assertEqual(set(self.modes()), {"idle"})
        self.set_power(self.site, 60)
        self.wait_modes("hash", 10)
        self.assertEqual(json.loads(self.sluice("power", "--json"))["classes"][0]["state"], "working")
        metrics = self.site.raw("GET", "/metrics")
        self.assertIn('sluice_energy_kwh_total{mode="hash"}', str(metrics))

    def test_2_a_cap_below_two_devices_sheds_one(self):
        before = float(self.power()["power"]["energy_kwh"]["hash"])
        self.assertGreater(before, 0)
        self.restart("caps:\n  site: 0.03\n")
        most = 0

        def settled():
            nonlocal most
            most = max(most, self.drawn())
            return sorted(mode or "" for mode in self.modes()) == ["hash", "idle"]
        self.assertTrue(self.site.wait_for(settled, 20, 0.05), self.modes())
        shed = next(row for row in self.site.devices() if row["mode"] == "idle")
        self.assertEqual(shed["rule"], "cap")
        self.assertIn("cap of 'site'", self.sluice("explain", shed["key"]))
        self.assertLessEqual(self.drawn(), 30)
        # Once it is below the cap it stays there, whatever people order.
        self.sluice("pin", shed["key"], "hash")
        highest = []
        self.site.wait_for(lambda: highest.append(self.drawn()), 4, 0.05)
        self.assertLessEqual(max(highest), 30)
        self.assertEqual(next(row for row in self.site.devices() if row["key"] == shed["key"])["mode"], "hash")
        self.sluice("resume", shed["key"])
        answer = self.power()["power"]
        self.assertEqual(answer["site_cap_w"], 30)
        self.assertGreaterEqual(float(answer["energy_kwh"]["hash"]), before)
        self.assertIn("30 W", self.sluice("power"))

    def test_3_a_tariff_by_time_of_day(self):
        self.restart("step: 5m\n", power="""tariff: time_of_day
  price: 0.05
  windows:
    - {days: all, from: "00:00", to: "24:00", price: 0.08}""")
        answer = self.power()["power"]
        self.assertEqual((answer["tariff"], answer["price_usd_per_kwh"]), ("time_of_day", "0.08"))
        self.wait_modes("hash")
        self.assertIn("0.08 USD/kWh (time_of_day)", self.sluice("power"))
        self.check_ledger()

    def test_4_bad_documents_are_refused_by_name(self):
        bad = (("caps:\n  site: 1\nfloors:\n  site: 2\n", "floors.site (2.000000 kW) is above caps.site (1.000000 kW)"),
               ("power:\n  strike:\n    - {class: a, price: 1}\n    - {class: a, price: 2}\n", "class 'a' twice"),
               ("power:\n  strike:\n    - {class: \"\", price: 1}\n", "class"),
               ("power:\n  confirm: 5\n", "power.confirm"),
               ("caps:\n  site: 6.5 kVA\n", "caps.site"),
               ("powr:\n  confirm: 5m\n", "did you mean power?"))
        for text, said in bad:
            with self.subTest(text=text):
                with open(self.site.path("policy.yaml"), "w") as f:
                    f.write(text)
                done = subprocess.run([self.site.binary("sluice-broker"), "--config", self.site.path("broker.yaml"),
                                       "--check-config"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertIn("policy.yaml", done.stderr)
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
