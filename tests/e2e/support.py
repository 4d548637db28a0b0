# SPDX-License-Identifier: Apache-2.0
"""A site per test class, in a folder of its own, ended whatever happens."""
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

from sluice_site import Site

BUILD = os.environ["SLUICE_BUILD"]
MODELS = os.environ["SLUICE_MODELS"]
# Prices stand still unless a test moves them: the recording runs in real time.
STILL = {"speed": 1, "loop": "false", "age_max": "400d"}


class SiteCase(unittest.TestCase):
    options = {}
    parts = ("pool", "broker", "agent")

    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = Site(BUILD, cls.out, MODELS, **{**STILL, **cls.options})
        try:
            cls.site.prepare()
            if "pool" in cls.parts:
                cls.site.start_pool()
            if "broker" in cls.parts:
                cls.site.start_broker()
                cls.site.make_tenant()
            if "agent" in cls.parts:
                cls.devices = cls.site.start_agent()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.site.stop_all()
        if os.environ.get("SLUICE_KEEP"):
            print("kept:", cls.out)
        else:
            shutil.rmtree(cls.out, ignore_errors=True)

    def query(self, sql, *args):
        db = sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def modes(self):
        return [d["mode"] for d in self.site.devices()]

    def wait_modes(self, mode, timeout_s=20):
        self.assertTrue(self.site.wait_for(lambda: set(self.modes()) == {mode}, timeout_s, 0.05),
                        f"devices are {self.modes()}, wanted {mode}")

    def wait_batch(self, batch, status="completed", timeout_s=120):
        state = self.site.wait_for(
            lambda: (lambda s: s if s["status"] in (status, "failed", "expired") else None)(
                self.site.batch(batch)), timeout_s, 0.2)
        self.assertIsNotNone(state, f"batch {batch}: {self.site.batch(batch)}")
        self.assertEqual(state["status"], status, state)
        return state

    def sluice(self, *args, key=None, code=0):
        env = {**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": key or self.site.admin_key}
        done = subprocess.run([self.site.binary("sluice"), *args], capture_output=True, text=True, env=env)
        self.assertEqual(done.returncode, code, f"sluice {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout if code == 0 else done.stderr

    def check_ledger(self):
        self.assertIs(self.site.api("GET", "/api/v1/summary")["ledger_balanced"], True)
        doubled = self.query("SELECT ref, count(*) FROM transfers GROUP BY kind, ref HAVING count(*) > 1")
        self.assertEqual(doubled, [])
        debit, credit = self.query("SELECT sum(amount_nusd), sum(amount_nusd) FROM transfers")[0]
        self.assertEqual(debit, credit)
