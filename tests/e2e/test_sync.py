# SPDX-License-Identifier: Apache-2.0
"""A disk that reports an error on fsync: after one, nothing says whether earlier writes are durable, so the program
must end with the reason, acknowledge nothing more, and go on from what is durable when it is started again. And a
disk that is nearly full: tenants' files stop before what is left for the store."""
import json
import os
import subprocess
import unittest

from sluice_site import Refused
from support import BUILD, SiteCase

SHIM = os.path.join(BUILD, "tests", "e2e", "libfailsync.so")
LINES = 400


class FailingSync(SiteCase):
    options = {"fake_devices": 2, "ttl": "2s"}

    def start_with_shim(self, name):
        site = self.site
        self.assertTrue(site.stop(name))
        self.flag = site.path("failsync-" + name)
        with open(site.path("logs", name + ".log"), "a") as log:
            process = subprocess.Popen(site.commands()[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, "LD_PRELOAD": SHIM, "SLUICE_FAILSYNC": self.flag})
        site.env[f"{name.upper()}_PID"] = process.pid
        site.write_env()
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def fail_sync(self, name, files, words):
        site = self.site
        process = self.start_with_shim(name)
        self.assertTrue(site.wait_for(lambda: site.healthy() and site.devices_ready(), 60), site.log_tail(name))
        batch = site.submit([f"line {i} of {name}" for i in range(LINES)], "2")
        self.assertTrue(site.wait_for(lambda: site.batch(batch)["request_counts"]["completed"] > 0, 60, 0.02))
        with open(self.flag, "w") as f:
            f.write(files)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            code = None
        self.assertEqual(code, 1, site.log_tail(name, 30))
        for word in words:
            self.assertIn(word, site.log_tail(name, 30))
        os.unlink(self.flag)
        site.start(name)
        self.assertTrue(site.wait_for(site.healthy, 30), site.log_tail("broker"))
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": LINES, "completed": LINES, "failed": 0})
        raw = site.raw("GET", f"/v1/files/{state['output_file_id']}/content", key=site.tenant_key)
        self.assertEqual(len({json.loads(line)["custom_id"] for line in raw.splitlines()}), LINES)
        self.check_ledger()

    def test_the_brokers_store(self):
        self.fail_sync("broker", "store.db", ["committing to the store failed", "check the disk"])

    def kept(self):
        """Bytes of the disk that are for the store and for results: broker/batch/room.c, a second time."""
        disk = os.statvfs(self.site.path("broker"))
        return min(disk.f_blocks * disk.f_frsize // 16, 2 << 30)

    def test_results_leave_room_for_the_store(self):
        site = self.site
        process = self.start_with_shim("broker")
        self.assertTrue(site.wait_for(lambda: site.healthy() and site.devices_ready(), 60), site.log_tail("broker"))
        self.sluice("stop", "--all")
        batch = site.submit([f"line {i} of a batch whose results find no room" for i in range(LINES)], "2")
        self.assertTrue(site.wait_for(lambda: site.batch(batch)["status"] == "in_progress", 30))
        with open(self.flag, "w") as f:
            f.write(f"left {self.kept() // 8}")
        self.sluice("resume", "--all")
        self.assertTrue(site.wait_for(lambda: "batch.work" in site.log_tail("broker", 30), 60), site.log_tail("broker"))
        self.assertIn("No space left on device for results", site.log_tail("broker", 30))
        state = site.batch(batch)  # all else goes on
        self.assertEqual((state["status"], state["request_counts"]["completed"]), ("finalizing", LINES))
        self.assertEqual([n for n in os.listdir(site.path("broker", "files")) if n.endswith(".tmp")], [])
        self.assertTrue(site.stop("broker"))
        self.assertEqual(process.wait(10), 0)
        process = self.start_with_shim("broker")
        self.assertTrue(site.wait_for(site.healthy, 60), site.log_tail("broker"))
        os.unlink(self.flag)
        state = self.wait_batch(batch, timeout_s=60)
        raw = site.raw("GET", f"/v1/files/{state['output_file_id']}/content", key=site.tenant_key)
        self.assertEqual(len({json.loads(line)["custom_id"] for line in raw.splitlines()}), LINES)
        self.assertIsNone(process.poll())
        self.check_ledger()
        self.assertTrue(site.stop("broker"))
        site.start_broker()

    def test_tenants_files_leave_room_for_the_store(self):
        site = self.site
        process = self.start_with_shim("broker")
        self.assertTrue(site.wait_for(lambda: site.healthy() and site.devices_ready(), 60), site.log_tail("broker"))
        running = site.submit([f"line {i} of a batch that runs" for i in range(LINES)], "2")
        uploaded = site.upload(b"{}\n")
        create = {"input_file_id": uploaded, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        with open(self.flag, "w") as f:
            f.write(f"left {self.kept() // 2}")
        for refused in (lambda: site.upload(b"{}\n"),
                        lambda: site.api("POST", "/v1/batches", create, site.tenant_key)):
            with self.assertRaises(Refused) as caught:
                refused()
            self.assertEqual(caught.exception.status, 507)
            self.assertIn("disk_full", caught.exception.body)
        self.assertIn("for tenants' files: ", site.log_tail("broker", 30))
        self.assertEqual(self.wait_batch(running)["request_counts"]["completed"], LINES)
        os.unlink(self.flag)
        site.upload(b"{}\n")
        site.api("POST", "/v1/batches", create, site.tenant_key)
        self.assertIsNone(process.poll())
        self.assertTrue(site.stop("broker"))
        site.start_broker()

    def test_the_agents_journal(self):
        self.fail_sync("agent", "/journal", ["Input/output error"])


if __name__ == "__main__":
    unittest.main()
