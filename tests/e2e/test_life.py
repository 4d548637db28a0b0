# SPDX-License-Identifier: Apache-2.0
"""The main job with real OpenCL devices: moves by prices and bids, people's orders, broken feeds and
pools, and kill -9 of everything at any moment."""
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
from contextlib import closing

from sluice_site import DATA, Refused, Site
from support import BUILD, MODELS, STILL, SiteCase

with open(os.path.join(DATA, "sentences.txt"), encoding="utf-8") as f:
    TEXTS = [line.rstrip("\n") for line in f]

LOW, HIGH = "0.000001", "1000"


class Moves(SiteCase):
    def set_price(self, usd, name="hashprice.csv"):
        """Replaces the recording by one row, by rename, as an operator's script would."""
        column = "hashprice_usd_per_ph_day" if name == "hashprice.csv" else "usd_per_mwh"
        path = self.site.path("feeds", name)
        with open(path + ".new", "w") as f:
            f.write(f"timestamp,{column}\n2025-01-01T00:00:00Z,{usd}\n")
        os.rename(path + ".new", path)

    def feed(self, name="hashprice"):
        return next(f for f in self.site.api("GET", "/api/v1/market")["feeds"] if f["id"] == name)

    def completed(self, batch):
        return self.site.batch(batch)["request_counts"]["completed"]

    def test_1_a_bid_moves_devices_to_the_lease_and_back(self):
        batch = self.site.submit(TEXTS, LOW)
        self.wait_modes("hash")
        self.site.bid(batch, HIGH)
        self.wait_modes("infer", 5)
        # A slow machine may not have finished a single line by the time it shows the mode.
        done = self.site.wait_for(lambda: self.completed(batch), 60, 0.05)
        self.assertTrue(done, "no line in a minute")
        self.site.bid(batch, LOW)
        self.wait_modes("hash", 5)
        self.assertGreaterEqual(self.completed(batch), done, "a finished line was taken back")
        self.site.bid(batch, HIGH)
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": 2000, "completed": 2000, "failed": 0})
        self.wait_modes("hash")
        self.check_ledger()

    def test_2_a_price_moves_them_within_a_second(self):
        batch = self.site.submit(TEXTS[:1500], "0.05")
        self.set_price(0.000001)
        self.wait_modes("infer", 5)
        appended_ms = time.time() * 1000
        self.site.append_price(900000)
        self.wait_modes("hash", 10)
        decided_ms = self.query("SELECT min(at_ms) FROM directives WHERE mode='hash' AND at_ms >= ?",
                                int(appended_ms))[0][0]
        self.assertLess(decided_ms - appended_ms, 1000)
        self.set_price(0.000001)
        self.wait_modes("infer", 5)
        self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        self.wait_batch(batch, "cancelled")
        self.check_ledger()

    def grants(self):
        """Directives so far: a move and back between two looks at the modes would not show in these."""
        with closing(sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM directives").fetchone()[0]

    def test_3_a_bad_price_is_no_price(self):
        for bad, said in (("-5", "negative"), ("nan", "number"), ("much", "number")):
            with self.subTest(bad=bad):
                self.set_price(bad)
                self.assertTrue(self.site.wait_for(lambda: said in (self.feed()["trouble"] or ""), 5, 0.1), self.feed())
                self.assertTrue(self.feed()["stale"])
                grants = self.grants()
                batch = self.site.submit(TEXTS[:50], HIGH)
                time.sleep(1.5)
                self.assertEqual(self.grants(), grants, "a device was moved without a price")
                self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
                self.set_price(50)
                self.assertTrue(self.site.wait_for(lambda: not self.feed()["trouble"], 5, 0.1))

    def test_4_people_outrank_prices(self):
        batch = self.site.submit(TEXTS, HIGH)
        self.wait_modes("infer", 10)
        self.sluice("stop", "--all")
        self.wait_modes("idle", 5)
        self.sluice("resume", "--all")
        self.wait_modes("infer", 10)
        device = self.site.devices()[0]["key"]
        self.sluice("pin", device, "hash")
        self.assertTrue(self.site.wait_for(lambda: sorted(self.modes()) == ["hash", "infer"], 5))
        self.assertIn("pin", self.sluice("explain", device))
        self.sluice("resume", device)
        self.sluice("drain", "demo-node")
        self.wait_modes("idle", 5)
        self.sluice("resume", "demo-node")
        self.wait_batch(batch)
        self.check_ledger()


    def test_5_lines_too_long_for_the_model_are_answered_one_by_one(self):
        batch = self.site.submit(["long " * 80000] * 12 + ["short"], HIGH)
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": 13, "completed": 1, "failed": 12})
        raw = self.site.raw("GET", f"/v1/files/{state['error_file_id']}/content", key=self.site.tenant_key)
        for line in raw.splitlines():
            self.assertEqual(json.loads(line)["response"]["status_code"], 400)
        self.check_ledger()


class Kills(SiteCase):
    """kill -9 at any moment, then a restart: every line once, billed once, shares within their bounds."""

    options = {"ttl": "2s"}

    def test_kill_9_of_everything(self):
        rng = random.Random(int(os.environ.get("SLUICE_SEED", "20261122")))
        rounds = int(os.environ.get("SLUICE_KILLS", "9"))
        batches = [self.site.submit(TEXTS, HIGH, "a")]
        killed = {"broker": 0, "agent": 0, "pool": 0}
        for turn in range(rounds):
            name = ("broker", "agent", "pool")[turn % 3]
            if turn % 3 == 0:
                try:
                    self.site.bid(batches[0], rng.choice((LOW, HIGH)))
                except Exception:  # noqa: BLE001 - the batch may be done
                    pass
            time.sleep(rng.uniform(0.2, 1.8))
            self.site.kill(name, signal.SIGKILL)
            killed[name] += 1
            time.sleep(rng.uniform(0.05, 0.6))
            self.site.start(name)
            if name == "broker":
                self.assertTrue(self.site.wait_for(self.site.healthy, 10), self.site.log_tail("broker"))
            self.site.check_alive(name)
        self.assertTrue(self.site.wait_for(self.site.healthy, 10))
        if self.site.batch(batches[0])["status"] == "in_progress":
            self.site.bid(batches[0], HIGH)
        self.site.wait_for(self.site.devices_ready, 120, 0.5)
        state = self.wait_batch(batches[0], timeout_s=180)
        self.assertEqual(state["request_counts"]["completed"], 2000)
        raw = self.site.raw("GET", f"/v1/files/{state['output_file_id']}/content", key=self.site.tenant_key)
        ids = [json.loads(line)["custom_id"] for line in raw.splitlines()]
        self.assertEqual(len(ids), 2000)
        self.assertEqual(len(set(ids)), 2000)
        billed = self.query("SELECT count(*), count(DISTINCT ref) FROM transfers WHERE kind=1")[0]
        self.assertEqual(billed, (2000, 2000))
        self.check_ledger()
        self.wait_modes("hash", 60)
        self.assertTrue(self.site.stop("agent"))
        time.sleep(1)
        shares = dict(self.query("SELECT outcome, count(*) FROM shares GROUP BY outcome"))
        accepted, unknown = shares.get(1, 0), shares.get(4, 0)
        pool = self.site.pool_counts()
        self.assertLessEqual(accepted, pool["accepted"])
        self.assertLessEqual(pool["accepted"], accepted + unknown)
        self.assertEqual(pool["rejected"], 0)


class BrokerAway(SiteCase):
    """Without a broker the agent works what it holds, then hashes on, and reports all of it later."""

    options = {"ttl": "2s"}

    def test_results_and_shares_survive_the_brokers_absence(self):
        batch = self.site.submit(TEXTS[:600], HIGH)
        self.assertTrue(self.site.wait_for(
            lambda: self.site.batch(batch)["request_counts"]["completed"] > 20, 30, 0.05))
        self.site.kill("broker")
        before = self.site.pool_counts()["accepted"]
        time.sleep(6)
        self.assertGreater(self.site.pool_counts()["accepted"], before, "the safe mode does not hash")
        self.site.start_broker()
        self.wait_batch(batch)
        self.check_ledger()
        self.assertTrue(self.site.stop("agent"))
        time.sleep(0.5)
        shares = dict(self.query("SELECT outcome, count(*) FROM shares GROUP BY outcome"))
        pool = self.site.pool_counts()["accepted"]
        self.assertTrue(shares.get(1, 0) <= pool <= shares.get(1, 0) + shares.get(4, 0), (shares, pool))


class Identity(SiteCase):
    options = {"fake_devices": 1}

    def another(self, name, key_change=None):
        """A second agent process with its own data folder and configuration."""
        out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.addCleanup(shutil.rmtree, out, True)
        with open(self.site.path("agent.yaml")) as f:
            text = f.read().replace(self.site.path("agent") + "\n", out + "/agent\n")
        if key_change:
            text = text.replace(self.site.path("agent.key"), key_change)
        path = os.path.join(out, "agent.yaml")
        with open(path, "w") as f:
            f.write(text.replace("node: demo-node", f"node: {name}"))
        log = open(os.path.join(out, "log"), "w")
        process = subprocess.Popen([self.site.binary("sluice-agent"), "--config", path, "--fake-devices", "1"],
                                   stdout=log, stderr=log)
        self.addCleanup(log.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, os.path.join(out, "log")

    def test_an_unknown_key_is_not_let_in(self):
        key = os.path.join(self.out, "stranger.key")
        self.site.run(self.site.binary("sluice-agent"), "keygen", "--out", key)
        self.another("stranger", key)
        time.sleep(4)
        nodes = [n["node"] for n in self.site.api("GET", "/api/v1/nodes")["nodes"]]
        self.assertNotIn("stranger", nodes)

    def test_two_agents_with_one_key_are_quarantined(self):
        self.another("twin")
        found = self.site.wait_for(lambda: [n for n in self.site.api("GET", "/api/v1/nodes")["nodes"]
                                            if n["state"] == "quarantined"], 60, 0.5)
        self.assertTrue(found, self.site.api("GET", "/api/v1/nodes"))


class BadPools(SiteCase):
    """A pool that refuses, babbles or is silent is named with its fault. It costs no device and no broker:
    tenants are served, nothing is hashed, and a good pool on the same port is taken up again. That one has a
    new block every 700 ms, which leaves these devices no old work."""

    options = {"clean_every": "700ms", "pool_user": "u\n  submit_stale: true\n  answer_timeout: 4s"}
    parts = ("broker",)

    def tearDown(self):
        self.assertTrue(self.site.stop("agent"))
        self.assertTrue(self.site.stop("pool"))

    def pool(self):
        return self.site.api("GET", "/api/v1/nodes")["nodes"][0]["pool"]

    def hashes(self):
        return [device["hashes_total"] for device in self.site.devices()]

    def try_pool(self, option, said, timeout_s):
        site = self.site
        with open(site.path("logs", "badpool.log"), "a") as log:
            process = subprocess.Popen(site.commands()["pool"] + [option], stdout=log, stderr=log)
        try:
            self.assertTrue(site.wait_for(lambda: site.port_open(site.pool_port), 10))
            site.start_agent()
            self.assertTrue(site.wait_for(lambda: re.search(said, self.pool()["state"]), timeout_s), self.pool())
            hashes = self.hashes()
            self.wait_batch(site.submit(TEXTS[:50], HIGH))
            self.wait_modes("idle")
            self.assertFalse(self.pool()["has_job"], self.pool())
            self.assertEqual(self.hashes(), hashes)
        finally:
            process.kill()
            process.wait()
        return hashes

    def check_good_pool(self, hashes):
        self.site.start_pool()
        self.assertTrue(self.site.wait_for(lambda: self.pool()["has_job"], 90), self.pool())
        self.assertEqual(self.pool()["state"], "")
        self.wait_modes("hash")
        self.assertTrue(self.site.wait_for(lambda: all(a > b for a, b in zip(self.hashes(), hashes)), 20),
                        (hashes, self.hashes()))
        wanted = self.site.pool_counts()["accepted"] + 20
        self.assertTrue(self.site.wait_for(lambda: self.site.pool_counts()["accepted"] >= wanted, 30))
        with open(self.site.pool_log) as f:
            shares = [json.loads(line) for line in f.read().split("\n")[:-1]]
        self.assertEqual([share for share in shares if (share["behind_ms"] or 0) > 1000], [])

    def test_refused_authorisation(self):
        # It is asked again after five minutes at the earliest: too long to wait here.
        self.try_pool("--refuse-auth", "refused: the pool refuses this user", 30)

    def test_garbage(self):
        self.check_good_pool(self.try_pool(
            "--garbage", "not JSON|not an object|fields instead of 9|set_difficulty: difficulty must be", 30))

    def test_silence(self):
        # The agent gives up after 4 s without an answer.
        self.check_good_pool(self.try_pool("--silent", "does not answer mining.subscribe", 40))


class FullDisk(unittest.TestCase):
    """The store on a small tmpfs that fills up: the broker stops cleanly with its reason, loses nothing that
    it acknowledged, and goes on when there is room."""

    def setUp(self):
        self.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.site = Site(BUILD, self.out, MODELS, **STILL, fake_devices=1)
        os.makedirs(os.path.join(self.out, "broker"))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs",
                                  os.path.join(self.out, "broker")], capture_output=True, text=True)
        if mounted.returncode:
            shutil.rmtree(self.out, ignore_errors=True)
            self.skipTest("no tmpfs can be mounted here: " + mounted.stderr.strip())

    def tearDown(self):
        self.site.stop_all()
        subprocess.run(["umount", os.path.join(self.out, "broker")])
        shutil.rmtree(self.out, ignore_errors=True)

    def test_full_disk(self):
        site = self.site
        site.prepare()
        site.start_pool()
        site.start_broker()
        site.make_tenant()
        filler = os.path.join(self.out, "broker", "filler")
        site.start_agent()
        with open(filler, "wb") as f:
            try:
                f.write(b"x" * (16 << 20))
            except OSError:
                pass
        self.assertTrue(site.wait_for(lambda: not self.running("broker"), 60, 0.2),
                        "the broker goes on with a full disk")
        self.assertIn("full", site.log_tail("broker", 30))
        os.unlink(filler)
        site.start_broker()
        self.assertTrue(site.wait_for(lambda: site.devices_ready(), 30))
        self.assertEqual(site.api("GET", "/api/v1/summary?check=1")["ledger_balanced"], True)

    def running(self, name):
        from sluice_site import alive
        return alive(self.site.pid(name))


if __name__ == "__main__":
    unittest.main()
