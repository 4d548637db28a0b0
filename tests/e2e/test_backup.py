# SPDX-License-Identifier: Apache-2.0
"""Backups of a running broker, restores, and damaged or foreign data at either end: each refused by
name, and nothing lost."""
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import time
from contextlib import closing

from sluice_site import Refused
from support import PAGE, SiteCase, page_sum

def texts(n):
    return [f"line {i} of a batch that outlives its broker" for i in range(n)]


class Base(SiteCase):
    options = {"fake_devices": 2}

    def broker(self, *args, code):
        """A run of sluice-broker that ends by itself."""
        done = subprocess.run([self.site.binary("sluice-broker"), *args, "--config", self.site.path("broker.yaml")],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def agent(self, config=None):
        done = subprocess.run([self.site.binary("sluice-agent"), "--config", config or self.site.path("agent.yaml"),
                               "--fake-devices", "2"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr

    def kill(self, name):
        pid = self.site.pid(name)
        self.site.kill(name)
        self.assertTrue(self.site.wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe") or not _exe(pid), 10))

    def completed(self, batch):
        return self.site.batch(batch)["request_counts"]["completed"]

    def lines_of(self, batch):
        output = self.site.batch(batch)["output_file_id"]
        body = self.site.raw("GET", f"/v1/files/{output}/content", key=self.site.tenant_key)
        body = body[1] if isinstance(body, tuple) else body
        body = body.decode() if isinstance(body, bytes) else body
        return [json.loads(line)["custom_id"] for line in body.splitlines()]


def _exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


class BackupAndRestore(Base):
    def test_1_the_batch_goes_on_after_a_restore(self):
        site = self.site
        count = 6000
        batch = site.submit(texts(count), "1000")
        self.assertTrue(site.wait_for(lambda: 50 < self.completed(batch), 60, 0.05))
        backup = site.path("b1")
        said = self.broker("backup", backup, code=0)
        self.assertIn("1 open batches", said)
        in_backup, done = self.in_backup(backup)
        self.assertLess(done, count, "the batch was too short for this test")
        self.assertIn("there already", self.broker("backup", backup, code=1))
        self.assertIn(backup, self.broker("backup", backup + "2", "--force", code=0))
        # A history that will be lost, with lines finished and acknowledged.
        lost = site.submit(texts(10), "1000", prefix="lost")
        self.assertTrue(site.wait_for(lambda: self.completed(batch) > done, 60, 0.05))
        said = self.broker("restore", backup, code=1)
        self.assertIn("another sluice-broker uses the store", said)
        before = self.query("SELECT max(epoch_max), (SELECT max(unit_id) FROM units) FROM devices")[0]
        self.kill("broker")
        said = self.broker("restore", backup, code=0)
        self.assertIn("What was there before is in", said)
        self.assertIn("Lost is what was acknowledged after", said)
        restored_ms = time.time() * 1000
        site.start_broker()
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": count, "completed": count, "failed": 0})
        ids = self.lines_of(batch)
        self.assertEqual(len(ids), count)
        self.assertEqual(len(set(ids)), count)
        with self.assertRaises(Refused):
            site.batch(lost)
        self.check_ledger()
        epochs = [row[0] for row in self.query("SELECT epoch FROM directives WHERE at_ms >= ?", int(restored_ms))]
        self.assertTrue(epochs and min(epochs) > before[0], (epochs, before))
        unit = self.query("SELECT min(unit_id) FROM units WHERE unit_id > ?", in_backup)[0][0]
        self.assertGreater(unit, before[1])
        self.assertEqual(self.query("SELECT count(*) FROM audit WHERE action = 'restore'")[0][0], 1)
        self.broker("--check-config", code=0)
        self.sluice("ledger")

    def in_backup(self, path):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            unit = db.execute("SELECT max(unit_id) FROM units").fetchone()[0] or 0
            return unit, db.execute("SELECT max(lines_completed) FROM batches").fetchone()[0]

    def test_2_kills_of_a_restore_leave_the_old_or_the_new(self):
        site = self.site
        backup = site.path("b3")
        self.broker("backup", backup, code=0)
        self.assertTrue(site.stop("broker"))
        for wait_ms in (5, 20, 40, 80, 160, 320):
            process = subprocess.Popen([site.binary("sluice-broker"), "restore", backup, "--config",
                                        site.path("broker.yaml")], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(wait_ms / 1000)
            process.kill()
            process.wait()
            site.start_broker()
            self.check_ledger()
            self.assertTrue(site.stop("broker"))
        site.start_broker()

    def test_3_what_is_no_sound_backup(self):
        site = self.site
        good = site.path("b4")
        bad = site.path("bad")
        self.broker("backup", good, code=0)
        self.assertTrue(site.stop("broker"))
        with open(good, "rb") as f:
            content = f.read()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 0x10
        newer = bytearray(content)
        newer[60:64] = struct.pack(">I", 99)
        newer[PAGE - 8:PAGE] = struct.pack("<Q", page_sum(bytes(newer[:PAGE]), 1))
        for what, data, said in (("flipped", flipped, "does not fit its checksum"),
                                 ("cut", content[:len(content) // 3], "was cut short"),
                                 ("newer", newer, "schema 99 and this program knows"),
                                 ("text", b"no backup at all\n" * 20, "was not made by `sluice-broker backup`"),
                                 ("empty", b"", "is empty: no backup"),
                                 ("store", open(site.store, "rb").read(), "was not made by")):
            with self.subTest(what):
                with open(bad, "wb") as f:
                    f.write(data)
                self.assertIn(said, self.broker("restore", bad, code=1))
        self.assertIn("No such file", self.broker("restore", site.path("nothing"), code=1))
        site.start_broker()
        self.check_ledger()

    def test_4_a_full_disk(self):
        small = self.site.path("small")
        os.makedirs(small)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", small], capture_output=True,
                                 text=True)
        if mounted.returncode:
            self.skipTest("no tmpfs can be mounted here: " + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", small])
        said = self.broker("backup", os.path.join(small, "b"), code=1)
        self.assertIn("no backup was made", said)
        self.assertIn("full", said)
        self.assertEqual(os.listdir(small), [])
        self.assertTrue(self.site.healthy())
        self.assertNotIn("backup.links", os.listdir(self.site.path("broker")))
        self.check_ledger()

    def test_5_wrong_usage(self):
        self.assertIn("Usage: sluice-broker backup FILE", self.broker("backup", code=2))
        self.assertIn("Usage: sluice-broker restore FILE", self.broker("restore", "a", "b", code=2))
        nowhere = self.broker("backup", "/nowhere/b", code=1)
        self.assertIn("no backup was made: cannot write /nowhere/b.part", nowhere)
        self.assertIn("No such file or directory", nowhere)


class BadTexts(Base):
    """The texts of a batch (lines/ID) are hurt while it runs: that never ends the broker."""

    def begin(self, prefix):
        """A batch under way, one bit of whose first record, sent already, has flipped."""
        site = self.site
        batch = site.submit(texts(3000), "1000", prefix=prefix)
        self.assertTrue(site.wait_for(lambda: 50 < self.completed(batch), 60, 0.05))
        with open(site.path("broker", "lines", batch), "r+b") as f:
            f.seek(96 + 16)
            byte = f.read(1)[0]
            f.seek(96 + 16)
            f.write(bytes([byte ^ 1]))
        self.assertEqual(site.batch(batch)["status"], "in_progress", "the batch was too short for this test")
        return batch

    def test_1_they_are_read_again_from_the_input_file(self):
        batch = self.begin("again")
        pid = self.site.pid("broker")
        self.wait_batch(batch)
        self.assertEqual(len(set(self.lines_of(batch))), 3000)
        self.assertEqual(self.site.pid("broker"), pid)
        self.assertTrue(self.site.healthy())

    def test_2_without_it_this_batch_fails_alone(self):
        site = self.site
        batch = self.begin("lost")
        site.api("DELETE", "/v1/files/" + site.batch(batch)["input_file_id"], key=site.tenant_key)
        state = self.wait_batch(batch, "failed")
        self.assertEqual([error["code"] for error in state["errors"]["data"]], ["results_lost"])
        self.assertIn("batch.lost", self.sluice("events"))
        other = site.submit(texts(10), "1000", prefix="other")
        self.wait_batch(other)
        self.assertTrue(site.stop("broker"))
        site.start_broker()
        self.check_ledger()


class BadStores(Base):
    """A store that is damaged or foreign: the broker does not start and says why; put right, it goes on."""
    parts = ("broker",)

    def start_refused(self, said):
        self.assertIn(said, self.broker(code=1))

    def stopped(self, kill=False):
        if kill:
            self.kill("broker")
        else:
            self.assertTrue(self.site.stop("broker"))
        self.addCleanup(self.site.start_broker)

    def change(self, name, change):
        """Until the test's end."""
        path = self.site.path("broker", name)
        with open(path, "rb") as f:
            content = bytearray(f.read())
        self.addCleanup(self.put, path, bytes(content))
        self.put(path, bytes(change(content)))

    @staticmethod
    def put(path, content):
        with open(path, "wb") as f:
            f.write(content)

    def flip(self, at):
        def change(content):
            content[at] ^= 1
            return content
        return change

    def test_a_flipped_bit(self):
        self.stopped()
        self.change("store.db", self.flip(3 * PAGE + 1000))
        self.start_refused("page 4 does not fit its checksum")

    def test_a_flipped_bit_of_the_log(self):
        self.site.make_tenant("demo")
        self.site.make_tenant("demo")
        self.stopped(kill=True)
        self.change("store.db-wal", self.flip(32 + 24 + 500))
        self.start_refused("store.db-wal is damaged at byte")

    def test_cut_short(self):
        self.stopped()
        self.change("store.db", lambda content: content[:5 * PAGE + 17])
        self.start_refused("the file was cut short")

    def test_emptied(self):
        self.stopped()
        self.change("store.db", lambda content: b"")
        self.start_refused("is empty, but there was something in it")

    def test_a_log_left_behind(self):
        self.stopped(kill=True)
        self.change("store.db-wal", lambda content: b"")
        self.start_refused("store.db-wal was cut short or left behind")

    def test_a_newer_schema(self):
        def newer(content):
            content[60:64] = struct.pack(">I", 1000)
            content[PAGE - 8:PAGE] = struct.pack("<Q", page_sum(bytes(content[:PAGE]), 1))
            return content
        self.stopped()
        self.change("store.db", newer)
        self.start_refused("has schema 1000 and this program knows")

    def test_a_text(self):
        self.stopped()
        self.change("store.db", lambda content: b"Dear diary, this is no store.\n" * 10)
        self.start_refused("no store of Sluice begins like this")

    def test_another_site(self):
        site = self.site
        self.stopped()
        key = site.path("broker.key")
        shutil.copy(key, key + ".old")
        self.addCleanup(os.replace, key + ".old", key)
        os.unlink(key)
        site.run(site.binary("sluice-broker"), "keygen", "--out", key)
        self.start_refused("belongs to another site")
        # Adopted on purpose, it starts, and from then on it is this one's.
        for args, other in ((["--adopt-store"], key), ([], key), (["--adopt-store"], key + ".old")):
            if other != key:
                shutil.copy(other, key)
            process = subprocess.Popen([site.binary("sluice-broker"), "--config", site.path("broker.yaml"), *args],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started = site.wait_for(site.healthy, 20)
            process.terminate()
            self.assertEqual(process.wait(20), 0)
            self.assertTrue(started)


class BadJournals(Base):
    """An agent's journal that is damaged, newer, or another node's."""

    def setUp(self):
        self.assertTrue(self.site.stop("agent"))
        self.path = self.site.path("agent", "journal")
        with open(self.path, "rb") as f:
            self.content = f.read()

    def tearDown(self):
        with open(self.path, "wb") as f:
            f.write(self.content)
        self.site.start_agent()

    def write(self, content):
        with open(self.path, "wb") as f:
            f.write(content)

    def test_another_node(self):
        out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.addCleanup(shutil.rmtree, out, True)
        with open(self.site.path("agent.yaml")) as f:
            text = f.read().replace("node: demo-node", "node: other-node")
        config = os.path.join(out, "agent.yaml")
        with open(config, "w") as f:
            f.write(text)
        said = self.agent(config)
        self.assertIn('the data directory belongs to node "demo-node", not to "other-node"', said)

    def test_a_flipped_bit(self):
        content = bytearray(self.content)
        content[64 + 64 + 5] ^= 4
        self.write(content)
        said = self.agent()
        self.assertIn("journal is damaged at byte 64", said)

    def test_a_newer_format(self):
        content = bytearray(self.content)
        content[7] = 2
        content[8:12] = struct.pack("<I", crc32c(bytes(content[:8])))
        self.write(content)
        self.assertIn("has format 2 and this program knows 1; run the newer sluice-agent", self.agent())

    def test_what_is_no_journal(self):
        self.write(b"Dear diary\n" * 100)
        self.assertIn("journal is damaged at byte 0 (not a journal of sluice-agent)", self.agent())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    import unittest
    unittest.main()
