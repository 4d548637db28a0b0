# SPDX-License-Identifier: Apache-2.0
"""What people look at while a site runs: `sluice top`, `sluice logs`, `sluice events`."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import SiteCase

ROWS, COLUMNS = 30, 150


class Screen:
    """A program on a terminal of its own. What it paints is kept as plain text: enough to see that words
    came, not where they stand."""

    def __init__(self, *command, env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True,
                                        start_new_session=True, env={**env, "TERM": "xterm-256color"})
        self.seen = ""

    def read(self, span_s):
        end = time.monotonic() + span_s
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], min(left, 0.1))[0]:
                self.seen += re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", " ",
                                    os.read(self.master, 65536).decode(errors="replace"))

    def wait(self, *words, timeout_s=15):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if all(word in self.seen for word in words):
                return True
            self.read(0.1)
        return False

    def press(self, keys):
        self.seen = ""
        os.write(self.master, keys.encode())

    def end(self, timeout_s=10):
        end = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        after = termios.tcgetattr(self.slave)
        os.close(self.master)
        os.close(self.slave)
        return code, after == self.before


class People(SiteCase):
    options = {"fake_devices": 2, "rated": (2, 20, 25), "hash_factor": 1_000_000_000}

    def env(self):
        return {**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": self.site.admin_key}

    def follow(self, *args):
        process = subprocess.Popen([self.site.binary("sluice"), *args], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.env())
        process.rest = b""
        return process

    def lines_until(self, process, wanted, timeout_s=15):
        """Reads the follower's lines until one is wanted; that one."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            while b"\n" in process.rest:
                line, process.rest = process.rest.split(b"\n", 1)
                if wanted(line.decode()):
                    return line.decode()
            if select.select([process.stdout], [], [], 0.2)[0]:
                more = os.read(process.stdout.fileno(), 65536)
                if not more:
                    return None
                process.rest += more
        return None

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        process.stdout.close()
        process.stderr.close()

    def test_1_top_shows_the_site_and_gives_the_terminal_back(self):
        key = self.site.devices()[0]["key"]
        top = Screen(self.site.binary("sluice"), "top", "--interval", "200ms", env=self.env())
        try:
            self.assertTrue(top.wait("agents 1", "devices 2", key[:20], "USD/h", "q quit"), top.seen)
            top.press("2")
            self.assertTrue(top.wait("heard"), top.seen)
            top.press("3")
            self.assertTrue(top.wait("bid USD/Mtok"), top.seen)
            top.press("4")
            self.assertTrue(top.wait("session.joined"), top.seen)
            top.press("1/" + "no such device")
            self.assertTrue(top.wait("nothing contains that"), top.seen)
            top.press("\x1b")
            self.assertTrue(top.wait(key[:20]), top.seen)
            self.assertIsNone(top.process.poll())
            top.press("q")
        finally:
            code, clean = top.end()
        self.assertEqual(code, 0)
        self.assertTrue(clean, "the terminal's settings were not put back")

    def test_1_top_is_left_by_signals_too(self):
        """By Ctrl-C or kill: nothing has failed."""
        for number in (signal.SIGINT, signal.SIGTERM):
            top = Screen(self.site.binary("sluice"), "top", env=self.env())
            try:
                self.assertTrue(top.wait("agents 1", "q quit"), top.seen)
                top.process.send_signal(number)
            finally:
                code, clean = top.end()
            self.assertEqual((code, clean), (0, True), number)

    def test_1_top_on_an_unknown_terminal(self):
        top = Screen("env", "TERM=nosuch", self.site.binary("sluice"), "top", env=self.env())
        self.assertTrue(top.wait("top --once"), top.seen)
        self.assertEqual(top.end(), (1, True))

    def test_2_top_without_a_terminal(self):
        self.assertIn("--once", self.sluice("top", code=2))
        self.assertIn("100ms", self.sluice("top", "--interval", "1ms", code=2))
        self.assertIn("--json", self.sluice("top", "--json", code=2))
        shown = self.sluice("top", "--once")
        for word in ("agents 1", self.site.devices()[1]["key"][:20], "queue:", "bid USD/Mtok", "heard"):
            self.assertIn(word, shown)
        self.assertNotIn("\x1b", shown)

    def test_3_logs(self):
        shown = self.sluice("logs", "--limit", "1000")
        self.assertIn("  info ", shown)
        worse = json.loads(self.sluice("logs", "--level", "error", "--json"))
        self.assertEqual({line["level"] for line in worse["lines"]} - {"error"}, set())
        self.assertIn("--level", self.sluice("logs", "--level", "loud", code=2))
        self.assertIn("--limit", self.sluice("logs", "--limit", "0", code=2))
        follower = self.follow("logs", "--follow", "--limit", "1")
        try:
            self.sluice("drain", self.site.devices()[0]["key"])
            self.assertIsNotNone(self.lines_until(follower, lambda line: "drain" in line))
            self.sluice("resume", "--all")
        finally:
            self.stop(follower)
        for secret in (self.site.admin_key, self.site.tenant_key):
            self.assertNotIn(secret, self.sluice("logs", "--limit", "1000"))
        refused = self.sluice("logs", key=self.site.tenant_key, code=1)
        self.assertIn("operator", refused)

    def test_3_a_follower_ends_with_its_reader(self):
        follower = self.follow("events", "--follow", "--limit", "1")
        self.assertIsNotNone(self.lines_until(follower, lambda line: True))
        follower.stdout.close()
        follower.wait(timeout=10)
        follower.stderr.close()

    def test_4_events_are_followed_through_a_restart(self):
        follower = self.follow("events", "--follow", "--json")
        try:
            self.site.stop("agent")
            self.assertIsNotNone(self.lines_until(follower, lambda line: '"session.left"' in line, 20))
            self.site.stop("broker")
            self.site.start_broker()
            self.site.start_agent()
            came = self.lines_until(follower, lambda line: '"session.joined"' in line, 20)
            self.assertIsNotNone(came)
            self.assertEqual(json.loads(came)["severity"], "info")
        finally:
            self.stop(follower)
        shown = self.sluice("events", "--limit", "1000")
        self.assertIn("session.left", shown)
        ids = [event["id"] for event in json.loads(self.sluice("events", "--json"))["events"]]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(self.site.api("GET", f"/api/v1/events?after={ids[0]}&limit=1")["events"][0]["id"], ids[1])
        for bad in ("after=-1", "after=x", "limit=0", "limit=1001"):
            with self.assertRaises(Exception):
                self.site.api("GET", "/api/v1/events?" + bad)
        self.assertIn("--device", self.sluice("events", "--follow", "--device", "x", code=2))

    def test_5_top_ends_when_the_broker_hangs_and_when_its_terminal_is_gone(self):
        broker = self.site.pid("broker")
        for key in ("q", "\x1c"):
            top = Screen(self.site.binary("sluice"), "top", "--interval", "200ms", env=self.env())
            try:
                self.assertTrue(top.wait("q quit"), top.seen)
                os.kill(broker, signal.SIGSTOP)
                top.read(0.5)  # a request waits for its answer
                top.press(key)
            finally:
                code, clean = top.end()
                os.kill(broker, signal.SIGCONT)
            self.assertEqual((code, clean), (0, True))
        # As under nohup: nothing tells it that the terminal is closed.
        top = Screen("/bin/sh", "-c", f"trap '' HUP; exec {self.site.binary('sluice')} top", env=self.env())
        self.assertTrue(top.wait("q quit"), top.seen)
        os.close(top.master)
        os.close(top.slave)
        try:
            self.assertEqual(top.process.wait(10), 0)
        finally:
            top.process.kill()


if __name__ == "__main__":
    unittest.main()
