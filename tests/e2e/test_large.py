# SPDX-License-Identifier: Apache-2.0
"""Many simulated agents on a real broker (tests/bench/fleet.c): lists in pages, storms, agents that come and go.
Small and short here; tests/bench/large and day have the figures."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import BUILD, MODELS

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from fleet_site import FleetSite, until  # noqa: E402
from sluice_site import Refused  # noqa: E402

AGENTS, DEVICES = 40, 20  # above the size up to which every report is decided upon at once


class Large(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = FleetSite(BUILD, cls.out, models=MODELS)
        try:
            cls.site.prepare_fleet(AGENTS)
            cls.site.start_broker()
            cls.site.make_tenant()
            cls.fleet = cls.site.start_fleet(AGENTS, DEVICES, 200)
            cls.settle()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.site.stop_all()
        shutil.rmtree(cls.out, ignore_errors=True)

    @classmethod
    def settle(cls):
        """Every session is live, and every device runs what it was told."""
        until(lambda: cls.fleet.count()["live"] == AGENTS and
              cls.site.api("GET", "/api/v1/status")["sessions_live"] == AGENTS and
              cls.site.metric("sluice_devices_granted") == AGENTS * DEVICES, 60, "the site")

    def page(self, query):
        return self.site.api("GET", f"/api/v1/devices?{query}")

    def test_devices_come_in_pages(self):
        keys = [d["key"] for d in self.site.devices()]
        self.assertEqual(len(keys), AGENTS * DEVICES)
        self.assertEqual(len(set(keys)), AGENTS * DEVICES)
        first = self.page("limit=3")
        self.assertEqual([d["key"] for d in first["devices"]], keys[:3])
        self.assertEqual((first["total"], first["next"]), (AGENTS * DEVICES, keys[2]))
        own = self.page("node=node7&limit=1000")
        self.assertEqual({d["node"] for d in own["devices"]}, {"node7"})
        self.assertEqual((len(own["devices"]), own["next"]), (DEVICES, None))
        for query, status in (("limit=0", 400), ("limit=1001", 400), ("limit=x", 400), ("after=gone", 404)):
            with self.assertRaises(Refused) as refused:
                self.page(query)
            self.assertEqual(refused.exception.status, status, query)

    def test_directives_to_a_node_leave_together(self):
        """Renewals and grants of one node come as one message each time (proto/wire/bundle.c)."""
        done = self.fleet.count()
        self.assertGreaterEqual(done["directives"], AGENTS * DEVICES)
        self.assertLess(done["received"], done["directives"])

    def test_the_command_line_shows_all_pages(self):
        done = subprocess.run([self.site.binary("sluice"), "devices"], capture_output=True, text=True, check=True,
                              env={**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": self.site.admin_key})
        self.assertEqual(done.stdout.count("node"), AGENTS * DEVICES)

    def test_what_an_agent_makes_up_is_booked_and_flagged(self):
        """Two messages of shares for 2^63 - 1 hashes each: no sum may overflow, no figure be absurd."""
        def accepted():
            return self.site.api("GET", "/api/v1/status")["shares"]

        def cli(*args):
            return subprocess.run([self.site.binary("sluice"), *args], capture_output=True, text=True, check=True,
                                  env={**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": self.site.admin_key,
                                       "COLUMNS": "400"}).stdout

        self.fleet.order("claim 3")
        until(lambda: accepted()["accepted"] > 0, 10, "the first shares")
        count = accepted()["accepted"]
        self.fleet.order("claim 3")
        until(lambda: accepted()["accepted"] == 2 * count, 10, "the other shares")
        self.assertGreaterEqual(accepted()["implausible"], 2 * count - 8)
        status = self.site.api("GET", "/api/v1/status")
        self.assertEqual(status["devices_implausible"], 1)
        device = next(d for d in self.site.devices() if d["claims_doubt"])
        self.assertEqual(device["node"], "node3")
        events = [e for e in self.site.api("GET", "/api/v1/events")["events"] if e["kind"] == "claims.implausible"]
        self.assertEqual([(e["device"], e["severity"]) for e in events], [(device["key"], "alert")])
        summary = self.site.api("GET", "/api/v1/summary?check=1")
        self.assertEqual((summary["ledger_balanced"], summary["shares_accepted"]), (True, 2 * count))
        revenue = self.site.api("GET", "/api/v1/ledger")["hash_revenue"]
        work = 2 ** 63 - 1
        self.assertGreater(revenue["implausible_nusd"], 0)
        self.assertLessEqual(revenue["implausible_nusd"], revenue["estimated_nusd"])
        pool = self.site.api("GET", "/api/v1/pools")["pools"][0]
        self.assertEqual(pool["work_accepted_hashes"], 2 * count * work)
        self.assertIn("not plausible", pool["trouble"])
        self.assertGreaterEqual(self.site.metric("sluice_shares_implausible_total"), 2 * count - 8)
        self.assertEqual(self.site.metric("sluice_devices_implausible"), 1)
        self.assertIn("claim more than they can have found", cli("ledger"))
        self.assertIn("not plausible", cli("pools"))
        self.assertIn("claims.implausible", cli("events"))

    def test_a_storm_and_flapping_agents_lose_nothing(self):
        fds = self.site.memory()[1]
        batch = self.site.submit([f"line {i}" for i in range(100)], bid="100000")
        self.fleet.order("flap 10")
        until(lambda: self.site.batch(batch)["status"] == "completed", 60, "the batch")
        self.fleet.order("flap 0")
        self.fleet.order("storm")
        self.settle()
        self.assertEqual(self.site.batch(batch)["request_counts"]["completed"], 100)
        self.assertIs(self.site.api("GET", "/api/v1/summary?check=1")["ledger_balanced"], True)
        until(lambda: self.site.memory()[1] <= fds, 20, "descriptors of connections that are gone")


if __name__ == "__main__":
    unittest.main()
