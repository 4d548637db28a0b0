# SPDX-License-Identifier: Apache-2.0
"""A site per test class, in a folder of its own, ended whatever happens."""
import os
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import unittest
from contextlib import closing

from sluice_site import Site

BUILD = os.environ["SLUICE_BUILD"]
MODELS = os.environ["SLUICE_MODELS"]
# Prices stand still unless a test moves them: the recording runs in real time.
STILL = {"speed": 1, "loop": "false", "age_max": "400d"}
PAGE = 4096
MASK = (1 << 64) - 1


def page_sum(page, number):
    """The checksum of broker/store/page_sum.c, written down a second time."""
    def step(state, word):
        state = (state ^ word) * 0x9E3779B97F4A7C15 & MASK
        return (state << 29 | state >> 35) & MASK
    lanes = [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89]
    for at, word in enumerate(struct.unpack("<511Q", page[:PAGE - 8])):
        lanes[at % 4] = step(lanes[at % 4], word)
    total = step(0x452821E638D01377, number)
    for lane in lanes:
        total = step(total, lane)
    return total ^ total >> 32


def edit_store(path, edit):
    """Calls edit with a connection to the store of a stopped broker, then makes its pages' checksums fit
    again, as if the broker had written it."""
    with open(path, "rb") as f:
        before = f.read()
    with closing(sqlite3.connect(path)) as db, db:
        edit(db)
    with open(path, "r+b") as f:
        content = f.read()
        for at in range(0, len(content), PAGE):
            if content[at:at + PAGE] != before[at:at + PAGE]:
                f.seek(at + PAGE - 8)
                f.write(struct.pack("<Q", page_sum(content[at:at + PAGE], at // PAGE + 1)))


class SiteCase(unittest.TestCase):
    options = {}
    parts = ("pool", "broker", "agent")

    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = Site(BUILD, cls.out, MODELS, **{**STILL, **cls.options})
        try:
            cls.site.prepare()
            cls.prepared()
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
    def prepared(cls):
        """Files are there, nothing runs yet: a test may change them."""

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
        """What was worked is what was billed: each line once, at the price of its unit; lines, batches,
        transfers and accounts agree. Read at one moment of a store that may go on changing."""
        for query, replayed in (("", False), ("?check=0", False), ("?check=1", True)):
            summary = self.site.api("GET", "/api/v1/summary" + query)
            self.assertEqual((summary["ledger_balanced"], summary["replayed"]), (True, replayed))
        db = sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True, isolation_level=None)
        try:
            db.execute("BEGIN")
            self.check_transfers(db)
            self.check_bills(db)
        finally:
            db.close()

    def check_transfers(self, db):
        doubled = db.execute("SELECT ref FROM transfers GROUP BY kind, ref HAVING count(*) > 1").fetchall()
        self.assertEqual(doubled, [])
        sums = {}
        for debit, credit, amount in db.execute("SELECT debit, credit, amount_nusd FROM transfers"):
            sums.setdefault(debit, [0, 0])[0] += amount
            sums.setdefault(credit, [0, 0])[1] += amount
        for account, debits, credits in db.execute("SELECT id, debits, credits FROM accounts"):
            self.assertEqual([int(debits), int(credits)], sums.pop(account, [0, 0]), account)
        self.assertEqual(sums, {}, "transfers of accounts that are not there")

    def check_bills(self, db):
        tenants = {}
        for batch, tenant, tokens, billed in db.execute("SELECT id, tenant, tokens, billed_nusd FROM batches"):
            lines = db.execute("SELECT r.tokens, r.amount_nusd, u.price_nusd_per_mtok FROM results r "
                               "JOIN units u USING(unit_id) WHERE r.batch = ? AND r.status = 1", (batch,)).fetchall()
            self.assertEqual(tokens or 0, sum(line[0] for line in lines), batch)
            self.assertEqual(billed, sum(line[1] for line in lines), batch)
            self.assertEqual(billed, sum(line[0] * line[2] for line in lines) // 1_000_000, batch)
            tenants[tenant] = tenants.get(tenant, 0) + billed
        accounts = {row[0]: int(row[1]) - int(row[2]) for row in db.execute("SELECT * FROM accounts")}
        for tenant, billed in tenants.items():
            self.assertEqual(accounts.get(f"tenant:{tenant}", 0), billed, tenant)
        self.assertEqual(-accounts.get("revenue:lease", 0), sum(tenants.values()))
