# SPDX-License-Identifier: Apache-2.0
"""A kernel that never returns, on one of two real OpenCL devices: the other works on, people are told what is wrong
and what to do, the agent can be stopped, and the device comes back after its restart and re-tests."""
import os
import subprocess
import unittest

from support import BUILD, SiteCase

SHIM = os.path.join(BUILD, "tests", "e2e", "libhang.so")


@unittest.skipUnless(os.path.exists(SHIM), "the shim `hang` is not built: no OpenCL headers")
class TestHang(SiteCase):
    options = {"split_cpu": 2, "ttl": "2s", "dwell": "200ms"}

    def start_with_shim(self):
        site = self.site
        self.assertTrue(site.stop("agent"))
        # Until then its devices still look as if they were at work.
        self.assertTrue(site.wait_for(lambda: site.api("GET", "/api/v1/nodes")["nodes"][0]["state"] != "live", 30, 0.1))
        self.flag = site.path("hang")
        with open(site.path("logs", "agent.log"), "a") as log:
            process = subprocess.Popen(site.commands()["agent"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, "LD_PRELOAD": SHIM, "SLUICE_HANG": self.flag})
        site.env["AGENT_PID"] = process.pid
        site.write_env()
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(site.wait_for(site.devices_ready, 240, 0.5), site.log_tail("agent"))
        return process

    def device(self, number):
        return next(d for d in self.site.devices() if d["key"].endswith(f"/{number}"))

    def test_one_of_two_hangs(self):
        site = self.site
        process = self.start_with_shim()
        self.wait_modes("hash")
        with open(self.flag, "w") as f:
            f.write("device 0")
        self.assertTrue(site.wait_for(lambda: self.device(0)["state"] == "faulty", 60, 0.2), self.device(0))
        self.assertTrue(site.wait_for(lambda: self.device(0)["health"] in ("drain", "quarantine"), 10, 0.2), self.device(0))
        said = self.sluice("health")
        self.assertRegex(said, r"/0 .*a kernel never returned")
        self.assertNotRegex(said, r"/1 ")
        self.assertIn("Restart the agent", self.sluice("explain", self.device(0)["key"]))
        # The other one takes a lease and goes back to hashing.
        batch = site.submit([f"line {i} beside one that hangs" for i in range(60)], "50")
        self.wait_batch(batch)
        self.assertTrue(site.wait_for(lambda: self.device(1)["mode"] == "hash", 20, 0.1), self.device(1))
        self.assertEqual(self.query("SELECT DISTINCT device FROM units"), [(self.device(1)["key"],)])
        before = self.device(1)["hashes_total"]
        self.assertTrue(site.wait_for(lambda: self.device(1)["hashes_total"] > before, 10, 0.2))
        # What a person says does not make it work: its thread is inside the driver.
        self.assertIn("that still holds", self.sluice("health", "clear", self.device(0)["key"], code=1))
        process.terminate()
        self.assertEqual(process.wait(30), 0, site.log_tail("agent", 20))
        os.unlink(self.flag)
        site.start("agent")
        self.assertTrue(site.wait_for(
            lambda: site.devices_ready() and set(self.modes()) == {"hash"}, 240, 0.5),
            self.sluice("health") + site.log_tail("agent"))
        self.assertTrue(site.wait_for(lambda: self.device(0)["health"] == "ok", 30, 0.2), self.sluice("health"))
        self.check_ledger()
