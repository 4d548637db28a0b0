# SPDX-License-Identifier: Apache-2.0
"""A node joins with a one-time token, is approved, works, gets a new key and is revoked: real programs.
What is wrong with tokens, and floods of them, while an agent works."""
import base64
import hashlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from sluice_site import MODEL, alive, free_port
from support import SiteCase


def with_join_endpoint(token, port):
    """The same token (proto/link/token.c), leading to another port of this machine."""
    data = base64.urlsafe_b64decode(token[5:] + "=" * (-len(token[5:]) % 4))[:-6]
    name = 1 + data[0]
    endpoint = f"tcp://127.0.0.1:{port}".encode()
    data = data[:name] + bytes([len(endpoint)]) + endpoint + data[name + 1 + data[name]:]
    data += hashlib.blake2b(data, key=b"slj1-", digest_size=32).digest()[:6]
    return "slj1-" + base64.urlsafe_b64encode(data).decode().rstrip("=")


class JoinCase(SiteCase):
    options = {"fake_devices": 2, "rated": (20, 65, 65), "hash_factor": 1000000000}
    parts = ("pool", "broker")

    @classmethod
    def prepared(cls):
        cls.site.options["join_port"] = cls.join_port = free_port()
        cls.site.write_broker_config()

    def setUp(self):
        self.agents = []

    def tearDown(self):
        for process in self.agents:
            if process.poll() is None:
                process.terminate()
        for process in self.agents:
            process.wait(30)

    # ---- helpers ----

    def token(self, name, *args):
        return self.sluice("agents", "enroll", name, *args).strip()

    def config(self, name, *sections):
        folder = os.path.join(self.out, name)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "agent.yaml")
        with open(path, "w") as f:
            f.write(f"# keep this comment\ndata_dir: {folder}/data\n" + "".join(sections) +
                    f"models:\n  - id: {MODEL}\n    path: {os.path.join(self.site.model_dir, MODEL + '.gguf')}\n"
                    "    max_tokens: 256\n")
        os.makedirs(os.path.join(folder, "data"), mode=0o700, exist_ok=True)
        return path

    def join(self, token, *args, code=0):
        done = subprocess.run([self.site.binary("sluice-agent"), "join", "-", "--no-inventory", *args],
                              input=token, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def start(self, config, devices=2):
        log = open(config + ".log", "w")
        process = subprocess.Popen([self.site.binary("sluice-agent"), "--config", config, "--fake-devices",
                                    str(devices)], stdout=log, stderr=log)
        log.close()
        self.agents.append(process)
        return process

    def log(self, config):
        with open(config + ".log") as f:
            return f.read()

    def agent(self, name):
        rows = [a for a in self.site.api("GET", "/api/v1/agents")["agents"] if a["name"] == name]
        return rows[-1] if rows else None

    def refused(self, why):
        text = self.site.raw("GET", "/metrics").decode()
        return int(re.search(r'sluice_joins_refused_total\{reason="%s"\} (\d+)' % why, text)[1])

    def wait_session(self, name, session="live", timeout_s=20):
        self.assertTrue(self.site.wait_for(lambda: (self.agent(name) or {}).get("session") == session,
                                           timeout_s, 0.05), self.agent(name))

    def wait_log(self, config, pattern, timeout_s=20):
        self.assertTrue(self.site.wait_for(lambda: re.search(pattern, self.log(config)), timeout_s, 0.1),
                        f"no {pattern} in {self.log(config)[-2000:]}")

    def restart_broker(self):
        self.site.kill("broker")
        self.site.wait_for(lambda: not alive(self.site.pid("broker")), 10)
        self.site.start_broker()

    def member(self, name):
        """Joined, approved and live."""
        config = self.config(name)
        self.join(self.token(name), "--config", config)
        self.sluice("agents", "approve", name)
        self.start(config)
        self.wait_session(name)
        return config


class TestLife(JoinCase):
    def test_from_token_to_revocation(self):
        config = self.config("alpha")
        token = self.token("alpha")
        self.assertTrue(token.startswith("slj1-"), token)
        said = self.join(token, "--config", config)
        self.assertIn("waits for an operator", said)
        with open(config) as f:
            text = f.read()
        self.assertIn("# keep this comment", text)
        self.assertIn("node: alpha", text)
        key_file = os.path.join(self.out, "alpha", "data", "agent.key")
        self.assertEqual(os.stat(key_file).st_mode & 0o777, 0o600)
        # Nothing of the secret is kept or logged.
        with open(os.path.join(self.out, "logs", "broker.log")) as f:
            self.assertNotIn(token, f.read())
        self.start(config)
        # A crash of the broker between joining and approval: the token stays used, the node waits.
        self.restart_broker()
        self.assertEqual(self.agent("alpha")["state"], "waiting")
        self.assertEqual(self.agent("alpha")["session"], "none")
        said = self.join(token, "--config", config)  # asked again, by the same key
        self.assertIn("waits for an operator", said)
        self.assertIn("approved", self.sluice("agents", "approve", "alpha"))
        self.restart_broker()  # and after it
        self.wait_session("alpha")
        self.assertTrue(self.site.wait_for(lambda: self.agent("alpha")["devices"] == 2, 10, 0.05))
        self.assertIn("Approved", self.join(token, "--config", config))

        # Work, then a new key in the middle of it: nothing is lost, epochs go on.
        batch = self.site.submit([f"line {i}" for i in range(400)])
        self.assertTrue(self.site.wait_for(
            lambda: self.site.batch(batch)["request_counts"]["completed"] > 0, 30, 0.02))
        before = self.agent("alpha")
        epochs = {d["key"]: d["epoch"] for d in self.site.devices()}
        self.sluice("agents", "rotate", "alpha", "--overlap", "1m")
        self.assertTrue(self.site.wait_for(
            lambda: self.agent("alpha")["public_key"] != before["public_key"], 10, 0.02))
        after = self.agent("alpha")
        self.assertEqual(after["identity"], before["identity"])
        self.assertEqual(after["key_before"], before["public_key"])
        # Until its session is on the new link: who is revoked between two links is refused, not told.
        self.wait_log(config, "(?s)opened with the new key " + re.escape(after["public_key"]) + ".* session.live ")
        self.wait_session("alpha")
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": 400, "completed": 400, "failed": 0})
        for device in self.site.devices():
            self.assertGreaterEqual(device["epoch"], epochs[device["key"]])
            self.assertEqual(device["node"], "alpha")
        self.assertEqual(self.query("SELECT count(DISTINCT node_key) FROM units"), [(1,)])
        with open(key_file) as f:
            self.assertIn(after["public_key"], f.read())
        self.assertFalse(os.path.exists(key_file + ".next"))
        self.check_ledger()

        # Revoked: not heard from that moment on, its lines go elsewhere, it cannot come back.
        said = self.sluice("agents", "revoke", "alpha")
        self.assertIn("revoked", said)
        self.wait_session("alpha", "lost")
        self.wait_log(config, "not admitted any more")
        self.assertIn("revoked already", self.sluice("agents", "revoke", "alpha", code=1))
        self.assertIn("stays revoked", self.sluice("agents", "approve", "alpha", code=1))
        self.restart_broker()
        self.assertEqual(self.agent("alpha")["state"], "revoked")
        self.assertIn("is an agent's already", self.join(token, "--config", config, code=1))
        actions = [a["action"] for a in self.site.api("GET", "/api/v1/audit")["audit"]]
        for action in ("agents.enroll", "agents.join", "agents.approve", "agents.rotate", "agents.rotate.key",
                       "agents.revoke"):
            self.assertIn(action, actions)
        shown = self.sluice("audit", "--limit", "1000")
        events = self.sluice("events", "--limit", "1000")
        actor = self.site.api("GET", "/api/v1/audit")["audit"][0]["actor"]
        for action, text in (("agents.enroll", "enrolled by " + actor), ("agents.approve", "is approved by " + actor),
                             ("agents.rotate", "ordered by " + actor), ("agents.rotate.key", "made by agent"),
                             ("agents.revoke", "is revoked by " + actor)):
            self.assertIn(action + "  alpha", shown)
            self.assertIn(text, events)
        self.assertLess(shown.index("agents.approve"), shown.index("agents.revoke"))  # oldest first
        self.assertEqual(self.sluice("audit", "--since", "2100-01-01"), "")
        self.assertEqual(len(self.sluice("audit", "--limit", "2").splitlines()), 2)
        page = json.loads(self.sluice("audit", "--json", "--since", "2020-01-01T00:00:00Z"))
        ids = [a["id"] for a in page["audit"]]
        self.assertEqual((ids, page["newest"]), (sorted(set(ids), reverse=True), ids[0]))
        after = self.site.api("GET", f"/api/v1/audit?after={ids[2]}&limit=1")
        self.assertEqual([a["id"] for a in after["audit"]], [ids[1]])
        self.assertIn("--since", self.sluice("audit", "--since", "soon", code=2))
        for bad in ("since=soon", "after=x", "limit=0", "after=1&since=2020-01-01"):
            with self.assertRaises(Exception):
                self.site.api("GET", "/api/v1/audit?" + bad)
        # The name is free again, and the devices go to whoever has it then.
        self.agents[0].terminate()
        self.agents[0].wait(30)
        os.rename(os.path.join(self.out, "alpha"), os.path.join(self.out, "alpha.old"))
        self.member("alpha")
        self.assertTrue(self.site.wait_for(lambda: self.agent("alpha")["devices"] == 2, 20, 0.1))

    def test_json(self):
        made = json.loads(self.sluice("agents", "enroll", "json-node", "--json"))
        self.assertEqual(sorted(made), ["expires", "id", "name", "token"])
        listed = json.loads(self.sluice("agents", "ls", "--json"))
        self.assertIn(made["id"], [t["id"] for t in listed["tokens"]])
        self.assertNotIn("token", listed["tokens"][0])
        out = os.path.join(self.out, "token")
        self.sluice("agents", "enroll", "file-node", "--out", out)
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        self.assertIn("is there already", self.sluice("agents", "enroll", "x", "--out", out, code=1))


class TestWrong(JoinCase):
    parts = ("broker",)

    def test_bad_tokens_and_names(self):
        token = self.token("wrong")
        config = self.config("wrong")
        self.assertIn("cut or mistyped", self.join(token[:-3], "--config", config, code=1))
        self.assertIn("cut or mistyped", self.join(token[:40] + "A" + token[41:], "--config", config, code=1))
        self.assertIn("this is no token", self.join("hello", "--config", config, code=1))
        other = self.config("wrong", "node: somebody\n")
        self.assertIn("nothing was sent", self.join(token, "--config", other, code=1))
        other = self.config("wrong", "no_such_key: 1\n")  # found before the token is used
        self.assertIn("nothing was sent", self.join(token, "--config", other, code=1))
        self.assertFalse(os.path.exists(os.path.join(self.out, "wrong", "data", "agent.key")))
        for name in ("", "a b", "x" * 32, "ä"):
            self.sluice("agents", "enroll", name, code=1)
        self.sluice("agents", "enroll", "wrong", "--ttl", "25h", code=1)
        self.sluice("agents", "enroll", "wrong", "--ttl", "15", code=1)
        self.sluice("agents", "approve", "nobody", code=1)
        # White space as a terminal leaves it is passed over.
        config = self.config("wrong")
        self.join("  " + token[:60] + "\n  " + token[60:] + "\n\n", "--config", config)
        # A second key with the same token: refused, and said so.
        second = self.config("wrong2")
        self.assertIn("used already", self.join(token, "--config", second, code=1))
        self.assertEqual(self.refused("used_token"), 1)
        self.assertIn("1 used_token", self.sluice("agents", "ls"))
        self.assertIn("1 used_token", self.sluice("events"))
        self.assertFalse(os.path.exists(os.path.join(self.out, "wrong2", "data", "agent.key")))
        self.assertIn("rejected", self.sluice("agents", "reject", "wrong"))
        self.assertIn("rejected or revoked", self.join(token, "--config", config, code=1))
        # Not over a key for another broker.
        with open(config) as f:
            text = f.read()
        with open(config, "w") as f:
            f.write(re.sub(r'server_key: ".*"', 'server_key: "5JMDv&$(8Oe}&s9+/^qSs[CZvW/HbJL^Mc]JPDmi"', text))
        self.assertIn("for another site", self.join(self.token("wrong"), "--config", config, code=1))

    def test_withdrawn_token(self):
        first = self.token("twice")
        second = self.token("twice")
        config = self.config("twice")
        self.assertIn("expired or was withdrawn", self.join(first, "--config", config, code=1))
        self.join(second, "--config", config)

    def test_another_site(self):
        """A token leads to a broker that has another key: nothing is sent."""
        token = self.token("stray")
        self.site.stop("broker")
        key = self.site.path("broker.key")
        os.rename(key, key + ".kept")
        store = self.site.path("broker")
        os.rename(store, store + ".kept")
        self.site.run(self.site.binary("sluice-broker"), "keygen", "--out", key)
        try:
            self.site.start_broker()
            said = self.join(token, "--config", self.config("stray"), code=1)
            self.assertIn("does not hold the broker's key", said)
            self.assertIn("Nothing was sent", said)
            self.assertTrue(self.site.wait_for(lambda: self.refused("other_site") > 0, 5, 0.05))
        finally:
            self.site.stop("broker")
            os.remove(key)
            os.rename(key + ".kept", key)
            os.rename(store, store + ".other")
            os.rename(store + ".kept", store)
        self.assertIn("nobody answers", self.join(token, "--config", self.config("stray"), code=1))
        self.site.start_broker()
        self.join(token, "--config", self.config("stray"))


class Deaf:
    """A way to the joining socket that swallows the broker's answer to the request, and then breaks."""

    HANDSHAKE = 64 + 168 + 2 + 100  # greeting, WELCOME, READY: what a CURVE server says before a message

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.swallowed = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(("127.0.0.1", self.port)) as broker:
            passed = 0
            while not self.swallowed.is_set():
                for source in select.select([client, broker], [], [], 10)[0]:
                    data = source.recv(65536)
                    passed += len(data) if source is broker else 0
                    if passed > self.HANDSHAKE or not data:
                        self.swallowed.set()
                    else:
                        (client if source is broker else broker).sendall(data)
            self.listener.close()


class TestLostAnswer(JoinCase):
    parts = ("broker",)

    def test_the_key_stays_when_only_the_answer_was_lost(self):
        """The broker took the node in, its answer was lost, and then nobody was there: the same command again."""
        token = self.token("unheard")
        config = self.config("unheard")
        deaf = Deaf(self.join_port)
        said = self.join(with_join_endpoint(token, deaf.listener.getsockname()[1]), "--config", config, code=1)
        self.assertTrue(deaf.swallowed.is_set())
        self.assertIn("nobody answers", said)
        self.assertEqual(self.agent("unheard")["state"], "waiting")
        self.assertIn("waits for an operator", self.join(token, "--config", config))
        # A node that was rejected or revoked: what to do with its key is said.
        self.sluice("agents", "reject", "unheard")
        said = self.join(self.token("unheard"), "--config", config, code=1)
        self.assertIn("move that file away", said)
        key = os.path.join(self.out, "unheard", "data", "agent.key")
        os.rename(key, key + ".old")
        self.join(self.token("unheard"), "--config", config)


class TestFlood(JoinCase):
    parts = ("broker",)

    def test_flood_and_foreign_device(self):
        """Hundreds of connections a second to the joining socket: sessions stay live. Then a second agent
        that calls the first one's devices its own."""
        config = self.member("worker")
        stop = threading.Event()
        made = [0]

        def flood(payload, patient):
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", self.join_port), 0.2) as s:
                        s.settimeout(0.05)
                        s.sendall(payload)
                        made[0] += 1
                        if patient:
                            s.recv(100)
                except OSError:
                    pass

        def knock():
            while not stop.is_set():
                with socket.socket() as s:
                    s.setblocking(False)
                    s.connect_ex(("127.0.0.1", self.join_port))
                    made[0] += 1
                time.sleep(0.0005)

        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(48)
        threads = [threading.Thread(target=flood, args=a) for a in
                   ((b"x" * 30000, False), (greeting, True), (greeting + bytes(400), False),
                    (b"", False), (greeting[:10], True))]
        threads.append(threading.Thread(target=knock))
        for thread in threads:
            thread.start()
        pid = self.site.pid("broker")
        slowest = 0
        until = time.monotonic() + 2
        while time.monotonic() < until:
            at = time.monotonic()
            self.assertEqual(self.agent("worker")["session"], "live")
            slowest = max(slowest, time.monotonic() - at)
            self.assertLess(len(os.listdir(f"/proc/{pid}/fd")), 400)
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertGreater(made[0], 1000)
        self.assertLess(slowest, 5, "the API was kept waiting")
        self.assertGreater(self.refused("flooded"), 0)
        events = [e for e in self.site.api("GET", "/api/v1/events")["events"] if e["kind"] == "agents.refused"]
        self.assertIn(len(events), (1, 2))  # a minute between two, however many knock
        self.assertNotIn("session.silent", self.log(config))
        with open(self.site.path("logs", "broker.log")) as f:
            self.assertNotIn("suspect", f.read())
        # Joining works again at once.
        thief = self.config("thief")
        self.join(self.token("thief"), "--config", thief)
        self.sluice("agents", "approve", "thief")
        # The fake devices' identity begins with the node's name; this one lies about it.
        with open(thief) as f:
            text = f.read()
        with open(thief, "w") as f:
            f.write(text.replace("node: thief", "node: worker"))
        self.start(thief)
        self.wait_log(thief, "enrolled for a node of another name")
        self.assertEqual({d["node"] for d in self.site.devices()}, {"worker"})
