# SPDX-License-Identifier: Apache-2.0
"""Pools that misbehave in every way of the test pool's --help, each against a real agent, all at the same
time, with one broker that keeps the books: no agent ends, no share is lost that could be saved, nothing is
hashed for long that the pool has retired; addresses that die, return, or are not who they say they are."""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
from contextlib import closing

from sluice_site import Site
from support import BUILD, MODELS, STILL

# One of 515 hashes: scripted devices search up to 5,000 nonces for each of their shares, five a second.
DIFFICULTY = "0.000000125"
ACCEPTED, STALE, REJECTED, UNKNOWN = 1, 2, 3, 4

# Each a pool that is bad in one way, and what may come of it. "exact": no connection is lost, so every share has
# its answer and both books are the same.
BAD = {
    "misorder": (["--misorder"], "exact"),
    "shapes": (["--error-shapes", "--stale-storm"], "exact stale"),
    "moves": (["--move-extranonce"], "exact"),
    "masks": (["--move-mask"], "exact"),
    "halves": (["--half-lines"], "exact"),
    "bytes": (["--one-byte", "--show-messages"], "exact"),
    "late": (["--ack-late"], "exact"),
    "twice": (["--ack-twice"], "exact"),
    "blocks": (["--clean-every", "400ms"], "exact"),
    "away": (["--send-away"], "exact"),
    "home": (["--send-home", "--after", "15"], "lossy"),
    "drops": (["--drop", "--after", "12"], "lossy"),
    "noise": (["--noise", "--after", "12"], "lossy"),
    "oversize": (["--oversize", "--after", "12"], "lossy"),
    "stalls": (["--stall", "--after", "8"], "lossy"),
}


class Trap(threading.Thread):
    """A listener where nobody is to come."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.visitors = 0
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.visitors += 1
            peer.close()


class Proxy(threading.Thread):
    """SOCKS5 with user and password (RFC 1928, RFC 1929); any name leads to 127.0.0.1."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked = []
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def exactly(peer, count):
        data = b""
        while len(data) < count:
            more = peer.recv(count - len(data))
            if not more:
                raise OSError("gone")
            data += more
        return data

    def serve(self, peer):
        try:
            self.talk(peer)
        except OSError:
            pass
        finally:
            peer.close()

    def talk(self, peer):
        _, count = self.exactly(peer, 2)
        if 2 not in self.exactly(peer, count):
            peer.sendall(b"\x05\xff")
            return
        peer.sendall(b"\x05\x02")
        user = self.exactly(peer, self.exactly(peer, 2)[1])
        password = self.exactly(peer, self.exactly(peer, 1)[0])
        good = (user, password) == (b"me", b"open sesame")
        peer.sendall(b"\x01" + (b"\x00" if good else b"\x01"))
        head = self.exactly(peer, 5)
        name = self.exactly(peer, head[4]).decode() if head[3] == 3 else None
        port = int.from_bytes(self.exactly(peer, 2), "big")
        self.asked.append((name, port))
        with socket.create_connection(("127.0.0.1", port)) as pool:
            peer.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            back = threading.Thread(target=self.pipe, args=(pool, peer), daemon=True)
            back.start()
            self.pipe(peer, pool)

    @staticmethod
    def pipe(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Pool:
    """A test pool, with a log for each of its lives."""

    def __init__(self, site, name, options=(), port=0):
        self.site, self.name, self.options, self.port = site, name, list(options), port
        self.log = site.path(name + ".shares")
        self.start()

    def start(self):
        port_file = self.site.path(self.name + ".port")
        if os.path.exists(port_file):
            os.unlink(port_file)
        command = [self.site.binary("sluice-test-pool"), "--port", str(self.port), "--port-file", port_file, "--log",
                   self.log, "--difficulty", DIFFICULTY, "--clean-every", "2s", "--notify-every", "300ms"]
        with open(self.site.path("logs", self.name + ".pool"), "a") as out:
            self.process = subprocess.Popen(command + self.options, stdout=out, stderr=out)
        if not Site.wait_for(lambda: os.path.exists(port_file), 10, 0.02):
            raise AssertionError(f"the pool {self.name} does not start")
        with open(port_file) as f:
            self.port = int(f.read())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def shares(self, result=None):
        if not os.path.exists(self.log):
            return []
        with open(self.log) as f:
            lines = [json.loads(line) for line in f.read().split("\n")[:-1]]
        return [line for line in lines if result in (None, line["result"])]

    def url(self, scheme="tcp", host="127.0.0.1"):
        return f"stratum+{scheme}://{host}:{self.port}"


class Agent:
    """An agent with two scripted devices."""

    def __init__(self, site, name, pool):
        self.site, self.name, self.key = site, name, site.path(name + ".key")
        text = "".join(f"  {key}: {value}\n" for key, value in {
            "user": "u", "share_timeout": "2s", "answer_timeout": "3s", "submit_stale": "true", **pool}.items())
        with open(site.path(name + ".yaml"), "w") as f:
            f.write(f"node: {name}\ndata_dir: {site.path(name)}\nlaunch: 50ms\nbroker:\n"
                    f"  endpoint: tcp://127.0.0.1:{site.agents_port}\n  server_key: \"{site.broker_public}\"\n"
                    f"  key_file: {self.key}\npool:\n{text}")
        self.log_path = site.path("logs", name + ".log")
        command = [site.binary("sluice-agent"), "--config", site.path(name + ".yaml")]
        with open(self.log_path, "a") as out:
            self.process = subprocess.Popen(command + ["--fake-devices", "2"], stdout=out, stderr=out)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class Pools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = Site(BUILD, cls.out, MODELS, **STILL)
        cls.pools, cls.agents = {}, {}
        cls.addClassCleanup(cls.end)
        cls.site.prepare()
        with open(cls.site.path("agent.yaml")) as f:
            cls.site.broker_public = re.search(r'server_key: "(.*)"', f.read()).group(1)
        cls.names = [*BAD, "failover", "refused", "valid", "expired", "future", "other", "pinned", "plain",
                     "proxy", "silent", "alone", "refuses"]
        keys = [cls.site.run(cls.site.binary("sluice-agent"), "keygen", "--out", cls.site.path(name + ".key"))
                for name in cls.names]
        cls.node_keys = dict(zip(cls.names, keys))
        with open(cls.site.path("allowed-agents"), "w") as f:
            f.write("".join(key + "\n" for key in keys))
        cls.site.start_broker()
        cls.trap = Trap("127.0.0.2")
        cls.proxy = Proxy()
        for name, (options, _) in BAD.items():
            if name == "away":
                options = options + ["--reconnect-to", f"127.0.0.2:{cls.trap.port}"]
            cls.pool(name, *options)
            fallback = {"fallback_urls": cls.pool(name + "2").url(), "retry_primary": "1s"} if name == "stalls" else {}
            cls.agent(name, {"url": cls.pools[name].url(), **fallback})
        cls.start_addresses()

    @classmethod
    def start_addresses(cls):
        """Pools with several addresses, with TLS, behind a proxy."""
        cls.pool("failover")
        cls.pool("failover2")
        cls.agent("failover", {"url": cls.pools["failover"].url(), "fallback_urls": cls.pools["failover2"].url(),
                               "retry_primary": "1s"})
        for name, fallback in (("silent", "silent2"), ("alone", None)):  # with a minute for answers, as shipped
            cls.pool(name, "--stall", "--after", "8")
            urls = {"fallback_urls": cls.pool(fallback).url()} if fallback else {}
            cls.agent(name, {"url": cls.pools[name].url(), "share_timeout": "60s", **urls})
        cls.pool("refuses", "--refuse-shares", "--after", "14")
        cls.agent("refuses", {"url": cls.pools["refuses"].url(), "fallback_urls": cls.pool("refuses2").url(),
                              "retry_primary": "1s"})
        cls.pool("refused", "--refuse-auth")
        cls.pool("refused2")
        cls.agent("refused", {"url": cls.pools["refused"].url(), "fallback_urls": cls.pools["refused2"].url()})
        for name, kind in (("valid", "valid"), ("expired", "expired"), ("future", "future"), ("other", "other-name"),
                           ("pinned", "expired"), ("proxy", "valid")):
            cls.pool(name, "--tls", kind, "--ca-file", cls.site.path(name + ".pem"))
        for name in ("valid", "expired", "future", "other"):
            cls.agent(name, {"url": cls.pools[name].url("ssl"), "tls_ca_file": cls.site.path(name + ".pem")})
        cls.pool("plain")
        cls.agent("plain", {"url": cls.pools["plain"].url("ssl"), "tls_ca_file": cls.site.path("valid.pem")})
        cls.agent("pinned", {"url": cls.pools["pinned"].url("ssl"), "tls_pins": cls.pin("pinned")})
        password = cls.site.path("proxy.password")
        with open(os.open(password, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("open sesame\n")
        cls.agent("proxy", {"url": cls.pools["proxy"].url("ssl", "pool.nowhere.invalid"),
                            "proxy": f"socks5://127.0.0.1:{cls.proxy.port}", "proxy_user": "me",
                            "proxy_password_file": password, "tls_pins": cls.pin("proxy")})

    @classmethod
    def pin(cls, name):
        done = subprocess.run([cls.site.binary("sluice-agent"), "pool-pin", cls.pools[name].url("ssl")],
                              capture_output=True, text=True, timeout=20)
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    @classmethod
    def pool(cls, name, *options):
        cls.pools[name] = Pool(cls.site, name, options)
        return cls.pools[name]

    @classmethod
    def agent(cls, name, pool):
        cls.agents[name] = Agent(cls.site, name, pool)

    @classmethod
    def end(cls):
        for one in [*cls.agents.values(), *cls.pools.values()]:
            if one.process.poll() is None:
                one.process.kill()
            one.process.wait()
        cls.site.stop_all()
        if os.environ.get("SLUICE_KEEP"):
            print("kept:", cls.out)
        else:
            shutil.rmtree(cls.out, ignore_errors=True)

    # ---- looking ----

    def wait(self, condition, timeout_s, what):
        value = self.site.wait_for(condition, timeout_s, 0.05)
        self.assertTrue(value, what() if callable(what) else what)
        return value

    def wait_shares(self, pool, count, timeout_s=20):
        self.wait(lambda: len(self.pools[pool].shares("accepted")) >= count, timeout_s,
                  lambda: f"{pool}: {len(self.pools[pool].shares())} shares; "
                          + self.agents[pool.rstrip('2')].log()[-2000:])

    def wait_log(self, name, text, timeout_s=15):
        self.wait(lambda: text in self.agents[name].log(), timeout_s, lambda: self.agents[name].log()[-2000:])

    def booked(self, name):
        """What the broker has of an agent's shares, by outcome."""
        with closing(sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT outcome, count(*) FROM shares WHERE node_key = ? GROUP BY outcome",
                              (self.node_keys[name],)).fetchall()
        return {outcome: 0 for outcome in (ACCEPTED, STALE, REJECTED, UNKNOWN)} | dict(rows)

    # ---- tests, in the order of their names; all pools have been at work since the first ----

    def test_1_a_dead_primary_stops_no_hashing_and_is_returned_to(self):
        primary, backup = self.pools["failover"], self.pools["failover2"]
        self.wait_shares("failover", 10)
        self.assertEqual(backup.shares(), [])
        primary.kill()
        self.wait_shares("failover2", 10)
        primary.start()
        count = len(primary.shares("accepted"))
        self.wait_shares("failover", count + 10)
        backup_ended = backup.shares()[-1]["t"]
        times = sorted(s["t"] for s in primary.shares() + backup.shares())
        gap = max(b - a for a, b in zip(times, times[1:]))
        self.assertLess(gap, 2, "hashing stopped at a change of the address")
        self.assertLess(backup_ended, times[-1])

    def test_2_a_refused_user_goes_to_the_next_address(self):
        self.wait_shares("refused2", 5)
        self.wait_log("refused", "refuses this user")
        self.assertEqual(self.pools["refused"].shares(), [])
        self.assertEqual(self.agents["refused"].log().count("refuses this user"), 1)

    def test_2b_one_that_refuses_every_share_is_left_and_tried_again(self):
        primary, backup = self.pools["refuses"], self.pools["refuses2"]
        self.wait_shares("refuses", 5)
        refused, taken = primary.shares("rejected"), primary.shares("accepted")
        self.assertEqual(len(refused), 14)
        between = [share["t"] for share in backup.shares("accepted")]
        self.assertTrue(between)
        first = [share for share in refused if share["t"] < between[0]]
        self.assertIn(len(first), range(10, 14), "ten, and what was under way")
        self.assertTrue(any(refused[-1]["t"] > t > first[-1]["t"] for t in between), "it was tried but once")
        self.assertLess(max(t for t in between), taken[-1]["t"])
        self.wait_log("refuses", "the pool refuses every share (Not good enough)")
        self.wait_log("refuses", "the pool takes shares again")
        self.wait(lambda: self.booked("refuses")[REJECTED] == 14, 10, lambda: self.booked("refuses"))

    def test_3_tls_is_for_the_right_pool_only(self):
        self.wait_shares("valid", 5)
        for name, why in (("expired", "has expired (2"), ("future", "is not valid before 2"),
                          ("other", "for another name than 127.0.0.1"), ("plain", "is this its TLS port?")):
            with self.subTest(name):
                self.wait_log(name, why)
                self.assertEqual(self.pools[name].shares(), [])
        self.wait(lambda: any("has expired" in json.dumps(node) for node in self.site.api("GET", "/api/v1/nodes")["nodes"]
                              if node["node"] == "expired"), 10, lambda: self.site.api("GET", "/api/v1/nodes"))

    def test_4_a_pinned_key_that_changes_is_refused(self):
        self.wait_shares("pinned", 5)  # its certificate has expired: the pin alone counts
        self.pools["pinned"].kill()
        count = len(self.pools["pinned"].shares())
        self.pools["pinned"].start()  # with a new key
        self.wait_log("pinned", "none of tls_pins")
        self.wait_log("pinned", self.pin("pinned"))
        self.assertEqual(len(self.pools["pinned"].shares()), count)

    def test_5_through_a_proxy_that_resolves_the_name(self):
        self.wait_shares("proxy", 5)
        self.assertEqual(set(self.proxy.asked), {("pool.nowhere.invalid", self.pools["proxy"].port)})
        self.assertNotIn("open sesame", self.agents["proxy"].log())

    def test_6_every_misbehaviour_is_survived(self):
        for name in BAD:
            self.wait_shares(name, {"stalls": 8, "shapes": 20}.get(name, 25), 25)
        self.wait_shares("stalls2", 10)
        self.assertEqual(self.trap.visitors, 0, "an agent followed a pool to a foreign host")
        self.wait_log("away", "foreign host 127.0.0.2")
        self.assertIn("256 KiB", self.agents["oversize"].log())
        self.assertIn("2 fields instead of 9", self.agents["noise"].log())
        self.assertIn("the pool asks us to reconnect", self.agents["home"].log())
        self.assertIn("does not answer to shares", self.agents["stalls"].log())
        shown = re.findall(r"message of the pool: (.*)", self.agents["bytes"].log())
        self.assertTrue(shown)
        for line in shown:
            self.assertRegex(line, r"^\"?[ -~]*$")
            self.assertLess(len(line), 200)

    def test_7_silence_costs_a_second(self):
        self.wait_shares("silent2", 10)
        left, found = self.pools["silent"].shares()[-1]["t"], self.pools["silent2"].shares()[0]["t"]
        # The share that is not answered, 1 s, and the first one at the other address: one each 0.2 s.
        self.assertLess(found - left, 2.5, "an address that answers nothing was hashed for")
        self.assertNotIn("does not answer to shares", self.agents["silent"].log())
        # Without another address nothing better is known: it goes on, and says so.
        self.wait_log("alone", "pool.suspect")
        view = self.wait(lambda: [c for c in self.site.api("GET", "/api/v1/pools")["connections"]
                                  if c["node"] == "alone" and c["suspect_ms"] > 0], 10, "the broker is not told")[0]
        self.assertTrue(view["connected"] and view["has_job"], view)
        shown = subprocess.run([self.site.binary("sluice"), "pools"], capture_output=True, text=True, check=True,
                               env={**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": self.site.admin_key})
        self.assertRegex(shown.stdout, r"\bsuspect\b")
        self.assertRegex(self.site.raw("GET", "/metrics").decode(), r"sluice_pool_nodes_suspect\{pool=\"\S+\"\} [1-9]")
        self.assertEqual({d["mode"] for d in self.site.devices() if d["node"] == "alone"}, {"hash"})

    def test_8_no_share_is_lost_and_no_old_work_goes_on(self):
        for name, agent in self.agents.items():
            self.assertIsNone(agent.process.poll(), f"{name} has ended: {agent.log()[-2000:]}")
        self.site.api("POST", "/api/v1/stop", {})
        self.site.wait_for(lambda: {d["mode"] for d in self.site.devices()} == {"idle"}, 10, 0.1)
        for name in [*BAD, "failover", "valid", "proxy"]:
            with self.subTest(name):
                self.judge(name)
        for name, agent in self.agents.items():
            self.assertEqual(agent.stop(), 0, name)

    def judge(self, name):
        pools = [pool for key, pool in self.pools.items() if key in (name, name + "2")]
        exact = BAD.get(name, (None, "exact" if name != "failover" else "lossy"))[1]

        def agree():
            booked = self.booked(name)
            accepted = sum(len(p.shares("accepted")) for p in pools)
            seen = sum(len(p.shares()) for p in pools)
            return accepted <= booked[ACCEPTED] + booked[UNKNOWN] and sum(booked.values()) >= seen

        self.site.wait_for(agree, 10, 0.1)
        booked = self.booked(name)
        shares = [share for pool in pools for share in pool.shares()]
        accepted = sum(share["result"] == "accepted" for share in shares)
        self.assertLessEqual(booked[ACCEPTED], accepted)
        self.assertLessEqual(accepted, booked[ACCEPTED] + booked[UNKNOWN])
        late = [share["behind_ms"] for share in shares if (share["behind_ms"] or 0) > 1000]
        self.assertEqual(late, [], "work on what the pool had retired before")
        self.assertEqual([s for s in shares if s["result"] == "rejected"], [], "shares that the pool had to reject")
        if "exact" in exact:
            self.assertEqual((booked[ACCEPTED], booked[UNKNOWN]), (accepted, 0))
            stale = sum(share["result"] == "stale" for share in shares)
            # A bare `false` does not say that it means stale.
            self.assertEqual(booked[STALE] + booked[REJECTED], stale)
            if "stale" not in exact:
                self.assertEqual(booked[REJECTED], 0)
                self.assertLess(stale, 0.35 * len(shares) + 5)


if __name__ == "__main__":
    unittest.main()
