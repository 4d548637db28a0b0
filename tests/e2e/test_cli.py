# SPDX-License-Identifier: Apache-2.0
"""`sluice` as people and scripts use it: every verb against a live site, with and without --json."""
import http.server
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from sluice_site import DATA, MODEL
from support import SiteCase, edit_store

HIGH = "1000"
CSI = re.compile(r"\x1b\[")


class CliCase(SiteCase):
    # A hashprice at which even a slow scripted device pays for its power.
    options = {"fake_devices": 2, "rated": (20, 65, 65), "hash_factor": 1000000000}

    def run_sluice(self, *args, key=None, env=None, stdin=""):
        merged = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_") and k != "NO_COLOR"}
        merged.update({"SLUICE_URL": self.site.url, "SLUICE_KEY": key or self.site.admin_key}, **(env or {}))
        return subprocess.run([self.site.binary("sluice"), *args], capture_output=True, text=True, env=merged,
                              input=stdin, timeout=60)

    def good(self, *args, **more):
        done = self.run_sluice(*args, **more)
        self.assertEqual(done.returncode, 0, f"{args}: {done.stdout}{done.stderr}")
        self.assertFalse(CSI.search(done.stdout + done.stderr), "colour without a terminal")
        return done.stdout

    def bad(self, code, *args, **more):
        done = self.run_sluice(*args, **more)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        self.assertTrue(done.stderr.startswith("sluice"), done.stderr)
        return done.stderr

    def json(self, *args, **more):
        return json.loads(self.good(*args, "--json", **more))

    def write(self, name, text):
        path = os.path.join(self.out, name)
        with open(path, "w" if isinstance(text, str) else "wb") as f:
            f.write(text)
        return path

    def submit(self, text, *args):
        path = self.write("in.txt", text)
        return self.good("submit", path, "--model", MODEL, "--bid", HIGH, *args, key=self.site.tenant_key).strip()

    def on_terminal(self, *args, key=None, env=None):
        """Runs it with a terminal as stdout and stderr; returns the exit code and what was shown."""
        pid, fd = pty.fork()
        if pid == 0:
            environment = {**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": key or self.site.admin_key,
                           "TERM": "xterm", **(env or {})}
            if not env:
                environment.pop("NO_COLOR", None)
            os.execve(self.site.binary("sluice"), ["sluice", *args], environment)
        shown = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([fd], [], [], 1)[0]:
                try:
                    piece = os.read(fd, 4096)
                except OSError:
                    break
                if not piece:
                    break
                shown += piece
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


class Looking(CliCase):
    def test_status(self):
        shown = self.good("status")
        for word in ("agents connected        1", "devices                 2:", "hash rate", "USD from leases",
                     "hash_factor"):
            self.assertIn(word, shown)
        answer = self.json("status")
        self.assertEqual((answer["sessions_live"], answer["devices_total"]), (1, 2))
        self.assertEqual(answer["switches"]["p50_us"] is None, answer["switches"]["count"] == 0)

    def test_nodes(self):
        lines = self.good("nodes").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("demo-node", lines[1])
        self.assertIn("live", lines[1])
        self.assertEqual(self.json("nodes")["nodes"][0]["node"], "demo-node")

    def test_devices(self):
        lines = self.good("devices").splitlines()
        self.assertEqual(len(lines), 3)
        at = lines[0].index("state")
        for line in lines[1:]:
            self.assertRegex(line, r"^demo-node/fake/[01]  ")
            self.assertNotEqual(line[at], " ", "columns are not aligned")
            self.assertIn("W (rated)", line)
            self.assertRegex(line, r" [0-9.]+ kH/s ")
        self.assertEqual(len(self.json("devices")["devices"]), 2)

    def test_market(self):
        shown = self.good("market")
        self.assertRegex(shown, r"hashprice +[0-9.]+ +USD/PH/s/day \(sha256d\)")
        self.assertRegex(shown, r"power +[0-9.]+ +USD/kWh")
        self.assertIn("none", shown)
        self.assertEqual({f["id"] for f in self.json("market")["feeds"]}, {"hashprice", "power"})
        self.assertIn("hashprice", self.good("market", key=self.site.tenant_key))  # prices are for everybody

    def test_explain(self):
        shown = self.good("explain", "fake/0")
        for word in ("demo-node/fake/0 on node demo-node", "It does: hash for the pool default", "Rule:    start",
                     "It did nothing before", "Figures:", "no waiting batch", "(rated)", "Its last decisions"):
            self.assertIn(word, shown)
        answer = self.json("explain", "demo-node/fake/1")
        self.assertEqual(answer["key"], "demo-node/fake/1")
        self.assertEqual(set(answer["offers"]), {"idle", "hash", "infer"})
        self.assertTrue(answer["history"])
        self.assertIn("more than one", self.bad(1, "explain", "fake"))
        self.assertIn("sluice devices", self.bad(1, "explain", "nothing"))

    def test_ledger(self):
        for args in ((), ("--transfers", "3")):
            self.assertIn("ledger balanced", self.good("ledger", *args))
        answer = self.json("ledger")
        self.assertTrue(answer["balanced"] and answer["replayed"])

    def test_terminals_get_colours_others_do_not(self):
        code, shown = self.on_terminal("devices")
        self.assertEqual(code, 0)
        self.assertRegex(shown, CSI)
        self.assertIn("\x1b[33mhash\x1b[0m", shown)
        self.assertNotRegex(self.on_terminal("devices", env={"NO_COLOR": "1"})[1], CSI)
        self.assertNotRegex(self.on_terminal("devices", "--json")[1], CSI)


class Ordering(CliCase):
    def order(self, subject):
        return next(d for d in self.json("devices")["devices"] if d["key"].endswith(subject))

    def tearDown(self):
        self.good("resume", "--all")
        self.good("resume", "demo-node")

    def test_drain_and_resume(self):
        self.assertIn("demo-node/fake/0 is drained", self.good("drain", "fake/0"))
        self.assertTrue(self.site.wait_for(lambda: self.order("/0")["mode"] == "idle", 5))
        self.assertEqual(self.order("/0")["override"], "drain")
        self.assertEqual(self.order("/1")["override"], None)
        self.assertIn("drained it", self.good("explain", "fake/0"))
        self.assertIn("lifted", self.good("resume", "/0"))
        self.assertTrue(self.site.wait_for(lambda: self.order("/0")["mode"] == "hash", 5))
        answer = self.json("drain", "demo-node")
        self.assertEqual((answer["order"], answer["subject"]), ("drain", "demo-node"))
        self.assertTrue(self.site.wait_for(lambda: set(self.modes()) == {"idle"}, 5))
        # A device of a drained node is not free yet, and that is said.
        self.assertIn("sluice resume demo-node", self.good("resume", "/0"))
        self.assertEqual(self.json("resume", "demo-node")["note"], None)
        self.assertTrue(self.site.wait_for(lambda: set(self.modes()) == {"hash"}, 5))

    def test_an_order_rules_also_where_nothing_has_to_move(self):
        self.good("pin", "fake/0", "idle")
        self.assertTrue(self.site.wait_for(lambda: self.order("/0")["mode"] == "idle", 5))
        self.good("drain", "demo-node")
        self.assertEqual(self.order("/0")["rule"], "drain")
        self.assertIn("drained it", self.good("explain", "fake/0"))

    def test_pin(self):
        self.assertIn("pinned to idle", self.good("pin", "fake/1", "idle"))
        self.assertTrue(self.site.wait_for(lambda: self.order("/1")["mode"] == "idle", 5))
        self.assertEqual((self.order("/1")["override"], self.order("/1")["pinned"]), ("pin", "idle"))
        self.assertIn("pin idle", self.good("devices"))
        self.assertEqual(self.json("pin", "fake/1", "hash")["mode"], "hash")
        self.assertTrue(self.site.wait_for(lambda: self.order("/1")["mode"] == "hash", 5))
        self.good("resume", "fake/1")

    def test_stop(self):
        self.assertIn("resume --all", self.good("stop", "--all"))
        self.assertTrue(self.site.wait_for(lambda: set(self.modes()) == {"idle"}, 5))
        self.assertIn("STOPPED", self.good("status"))
        self.assertEqual(self.json("resume", "--all")["subject"], "*")
        self.assertNotIn("STOPPED", self.good("status"))
        self.assertEqual(self.json("stop", "--all")["order"], "stop")
        self.good("resume", "--all")
        actions = [row["action"] for row in self.site.api("GET", "/api/v1/audit")["audit"]]
        self.assertEqual(actions[:4], ["resume", "stop", "resume", "stop"])

    def test_wrong_subjects(self):
        for verb in (("drain", "nowhere"), ("resume", "nowhere"), ("pin", "nowhere", "hash")):
            self.assertIn("sluice devices", self.bad(1, *verb))


class Batches(CliCase):
    def test_plain_text(self):
        batch = self.submit("first line\n\n  \nsecond line\n", "--deadline", "90m")
        self.assertRegex(batch, r"^batch_[0-9a-f]{24}$")
        self.wait_batch(batch)
        raw = self.good("batch", "results", batch, key=self.site.tenant_key)
        self.assertEqual({json.loads(line)["custom_id"] for line in raw.splitlines()}, {"line-1", "line-4"})
        answer = self.json("batch", "show", batch)
        self.assertEqual((answer["id"], answer["tenant"], answer["bid_usd_per_mtok"]), (batch, "demo", "1000.00"))
        shown = self.good("batch", "show", batch, key=self.site.tenant_key)
        self.assertRegex(shown, r"status +completed")
        self.assertRegex(shown, r"lines +2\n")

    def test_requests_and_standard_input(self):
        line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "text"}}
        named = {**line, "custom_id": "b", "body": {"input": "text", "model": MODEL}}
        text = "\n" + json.dumps(line) + "\n" + json.dumps(named) + "\n"
        path = self.write("requests.jsonl", text.lstrip())
        key = self.site.tenant_key
        for args, stdin in (((path,), ""), (("-",), text.lstrip())):
            batch = json.loads(self.good("submit", *args, "--model", MODEL, "--bid", HIGH, "--json", key=key, stdin=stdin))
            self.assertEqual(self.wait_batch(batch["id"])["request_counts"]["completed"], 2)
        self.assertIn("line 2 asks for the model", self.bad(1, "submit", path, "--model", "other", key=key))
        # Without --model the file goes as it is, and the broker names the line that lacks one.
        done = self.run_sluice("submit", path, "--wait", key=key)
        self.assertEqual(done.returncode, 1)
        self.assertIn("missing_required_parameter", done.stdout)
        self.assertIn("is failed", done.stderr)

    def test_waiting_in_a_script(self):
        out = os.path.join(self.out, "results.jsonl")
        with open(os.path.join(DATA, "sentences.txt")) as f:
            path = self.write("many.txt", "".join(f.readlines()[:200]))
        done = self.run_sluice("submit", path, "--model", MODEL, "--bid", HIGH, "--wait", "--out", out,
                               key=self.site.tenant_key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^200/200 lines .*completed$")
        self.assertNotIn("\r", done.stderr)
        self.assertRegex(done.stdout, r"billed USD +[0-9.]+")
        with open(out) as f:
            self.assertEqual(len(f.readlines()), 200)
        self.assertFalse(os.path.exists(out + ".part"))
        answer = json.loads(self.good("submit", path, "--model", MODEL, "--bid", HIGH, "--wait", "--json",
                                      key=self.site.tenant_key))
        self.assertEqual((answer["status"], answer["request_counts"]["completed"]), ("completed", 200))

    def test_waiting_on_a_terminal(self):
        path = self.write("many.txt", ("some words of it " * 15 + "\n") * 2000)
        code, shown = self.on_terminal("submit", path, "--model", MODEL, "--bid", HIGH, "--wait",
                                       key=self.site.tenant_key)
        self.assertEqual(code, 0, shown)
        self.assertRegex(shown, r"\r\x1b\[K\[#+\.*\] \d+/2000 lines")
        self.assertRegex(shown, r"\d/s  \d+ s to go")
        self.assertIn("[" + "#" * 30 + "] 2000/2000 lines", shown)

    def test_waiting_through_a_restart_of_the_broker(self):
        self.good("stop", "--all")
        path = self.write("few.txt", "some words\n" * 20)
        with open(os.path.join(self.out, "waiting"), "w") as log:
            waiting = subprocess.Popen([self.site.binary("sluice"), "submit", path, "--model", MODEL, "--bid", HIGH,
                                        "--wait"], stdout=log, stderr=log,
                                       env={**os.environ, "SLUICE_URL": self.site.url, "SLUICE_KEY": self.site.tenant_key})
        self.addCleanup(waiting.wait)
        self.addCleanup(waiting.kill)
        self.assertTrue(self.site.wait_for(lambda: any(
            b["status"] == "in_progress" for b in self.json("batch", "ls")["data"]), 10))
        self.site.kill("broker", signal.SIGKILL)
        time.sleep(1)
        self.site.start_broker()
        self.good("resume", "--all")
        self.assertEqual(waiting.wait(60), 0, open(os.path.join(self.out, "waiting")).read())

    def test_ls_bid_and_cancel(self):
        self.good("stop", "--all")
        key = self.site.tenant_key
        batch = self.submit("text\n" * 100)
        self.assertTrue(self.site.wait_for(lambda: self.site.batch(batch)["status"] == "in_progress", 10))
        self.assertIn(f"{batch}  demo", self.good("batch", "ls"))
        self.assertIn(batch, self.good("market"))
        self.assertIn("bids 0.07 USD", self.good("batch", "bid", batch, "0.07", key=key))
        self.assertEqual(self.json("batch", "bid", batch, "0.08")["bid_usd_per_mtok"], "0.08")
        self.assertEqual(self.json("batch", "show", batch)["bid_usd_per_mtok"], "0.08")
        self.assertIn("its files are written at its end", self.bad(1, "batch", "results", batch, key=key))
        for bid in ("0", "-1", "nan", "1e3", "0.0000000001", ""):
            self.assertIn("0.05", self.bad(1, "batch", "bid", batch, bid, key=key))
        self.assertIn("at most", self.bad(1, "batch", "bid", batch, "99999999", key=key))
        self.assertRegex(self.good("batch", "cancel", batch, key=key), r"is cancel(ling|led)")
        self.wait_batch(batch, "cancelled")
        self.assertEqual(self.json("batch", "cancel", batch)["status"], "cancelled")
        errors = os.path.join(self.out, "errors.jsonl")
        self.good("batch", "results", batch, "--errors", "--out", errors, key=key)
        with open(errors) as f:
            self.assertEqual(len(f.readlines()), 100)
        self.assertIn("--errors", self.bad(1, "batch", "results", batch, key=key))
        self.good("resume", "--all")
        first = self.json("batch", "ls", "--limit", "1")
        self.assertEqual(len(first["data"]), 1)
        shown = self.good("batch", "ls", "--limit", "1")
        if first["has_more"]:
            self.assertIn("--after " + first["last_id"], shown)
        for verb in (("show",), ("cancel",), ("results",)):
            self.assertIn("batch_none", self.bad(1, "batch", *verb, "batch_none", key=key))

    def test_what_is_refused_leaves_nothing_behind(self):
        key = self.site.tenant_key
        path = self.write("one.txt", "text\n")
        count = lambda: len(self.site.api("GET", "/v1/files", key=key)["data"])  # noqa: E731
        before = count()
        for args, said in ((("--deadline", "2020-01-01T00:00:00Z", "--bid", "1"), "not in the future"),
                           (("--deadline", "soon", "--bid", "1"), "RFC 3339"),
                           (("--bid", "99999999"), "at most"),
                           (("--bid", "nan"), "0.05"), (("--bid", "-1"), "0.05"), (("--bid", "0"), "0.05")):
            self.assertIn(said, self.bad(1, "submit", path, "--model", MODEL, *args, key=key))
        self.assertIn("no input", self.bad(1, "submit", self.write("empty", " \n"), "--model", MODEL, key=key))
        self.assertIn("--model", self.bad(1, "submit", path, key=key))
        self.assertIn("UTF-8", self.bad(1, "submit", self.write("latin", b"caf\xe9\n"), "--model", MODEL, key=key))
        self.assertIn("/nonexistent", self.bad(1, "submit", "/nonexistent", "--model", MODEL, key=key))
        self.assertIn("sluice keys new", self.bad(1, "submit", path, "--model", MODEL, "--bid", "1"))
        self.assertEqual(count(), before, "a refused batch left its file")


class Keys(CliCase):
    parts = ("broker",)

    def test_ls_new_and_revoke(self):
        secret = self.good("keys", "new", "demo", "laptop").strip()
        self.assertRegex(secret, r"^sk-sluice-[0-9a-f]{64}$")
        self.good("batch", "ls", key=secret)
        shown = self.good("keys", "ls")
        self.assertIn("laptop", shown)
        self.assertNotIn(secret, shown)
        row = next(k for k in self.json("keys", "ls")["keys"] if k["label"] == "laptop")
        self.assertNotIn("key", row)
        self.assertIn("is revoked", self.good("keys", "revoke", row["id"]))
        self.assertIn("revoked", self.bad(1, "batch", "ls", key=secret))
        made = self.json("keys", "new", "--operator", "second")
        self.assertEqual(made["role"], "operator")
        self.good("status", key=made["key"])
        self.assertTrue(self.json("keys", "revoke", made["id"])["revoked"])
        self.assertIn("nobody", self.bad(1, "keys", "new", "nobody"))
        self.assertIn("key_none", self.bad(1, "keys", "revoke", "key_none"))

    def test_a_key_straight_into_a_file(self):
        path = os.path.join(self.out, "tenant.key")
        self.assertEqual(self.good("keys", "new", "demo", "--out", path), "")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.good("--key-file", path, "batch", "ls", key="wrong")  # a file outranks the environment
        before = self.json("keys", "ls")["keys"]
        self.assertIn("already", self.bad(1, "keys", "new", "demo", "--out", path))
        self.bad(1, "keys", "new", "nobody", "--out", path + "2")
        self.assertFalse(os.path.exists(path + "2"))
        self.assertEqual(self.json("keys", "ls")["keys"], before, "a key was made and lost")

    def test_where_the_key_comes_from(self):
        data_dir = self.site.path("broker")
        self.good("status", env={"SLUICE_KEY": "", "SLUICE_DATA_DIR": data_dir})
        self.assertIn("--key-file", self.bad(1, "status", env={"SLUICE_KEY": "", "SLUICE_DATA_DIR": ""}))
        self.assertIn("/nonexistent", self.bad(1, "--key-file", "/nonexistent", "status"))
        self.assertIn("is empty", self.bad(1, "--key-file", self.write("empty.key", ""), "status"))
        self.assertIn("begins with no key", self.bad(1, "--key-file", self.write("blank.key", "\n"), "status"))
        self.assertIn("Is a directory", self.bad(1, "--key-file", "/", "status"))
        self.assertIn("unknown or revoked", self.bad(1, "status", key="sk-sluice-" + "0" * 64))
        self.assertIn("tenant's key", self.bad(1, "status", key=self.site.tenant_key))
        self.assertIn("tenant's key", self.bad(1, "keys", "ls", key=self.site.tenant_key))


class Usage(CliCase):
    parts = ("broker",)

    def test_wrong_usage_is_2_with_the_verbs_usage(self):
        cases = [["status", "x"], ["status", "--no-such"], ["devices", "1"], ["explain"], ["explain", "a", "b"],
                 ["submit"], ["submit", "f", "--bid"], ["submit", "f", "--out", "o"], ["submit", "f", "g"],
                 ["batch"], ["batch", "nothing"], ["batch", "show"], ["batch", "bid", "x"], ["batch", "ls", "x"],
                 ["drain"], ["resume"], ["resume", "x", "--all"], ["pin", "x"], ["pin", "x", "fast"], ["stop"],
                 ["stop", "x"], ["ledger", "x"], ["keys"], ["keys", "nothing"], ["keys", "new"], ["keys", "revoke"]]
        for args in cases:
            with self.subTest(args=args):
                # No key and no broker is needed to be told so.
                said = self.bad(2, *args, env={"SLUICE_KEY": "", "SLUICE_URL": "http://127.0.0.1:1"})
                self.assertIn(f"\nusage: sluice {args[0]} ", said + " ")
        self.assertIn("sluice --help", self.bad(2, "fly"))
        self.assertEqual(self.run_sluice().returncode, 2)
        self.assertEqual(self.run_sluice("status", "--url").returncode, 2)

    def test_what_is_too_long_is_said(self):
        long = "x" * 100_000
        for args in (["explain", long], ["batch", "show", long], ["keys", "revoke", long], ["drain", long],
                     ["agents", "revoke", long], ["agents", "enroll", long], ["keys", "new", "demo", long]):
            with self.subTest(args=args[:2]):
                said = self.bad(1, *args)
                self.assertNotIn("is that a broker's address", said)
                self.assertLess(len(said), 2000)
        self.assertIn("an argument is too long", self.bad(1, "batch", "show", long))
        self.assertIn("SLUICE_KEY is too long", self.bad(1, "status", key="sk-sluice-" + "0" * 40_000))

    def test_help(self):
        shown = self.good("--help")
        for verb in ("status", "nodes", "devices", "market", "explain", "submit", "batch", "drain", "resume", "pin",
                     "stop", "ledger", "keys"):
            self.assertRegex(shown, rf"(?m)^  {verb}( |$)")
            self.assertIn(f"usage: sluice {verb}", self.good(verb, "--help"))
        self.assertRegex(self.good("--version"), r"^sluice \d+\.\d+\.\d+\n$")

    def test_explain_of_a_device_that_was_told_nothing_yet(self):
        """Under test at its first start: a moment that is hard to meet, so a broker's answer as it is then."""
        device = {"key": "n/0", "node": "n", "name": "x", "state": "unproven", "mode": "idle", "wanted": None,
                  "safe_mode": True, "since_ms": 0, "trouble": "self-test and measurement under way"}

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                one = self.path.split("?")[0] != "/api/v1/devices"
                body = json.dumps(device if one else {"devices": [device], "total": 1, "next": None}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            shown = self.good("--url", f"http://127.0.0.1:{server.server_port}", "explain", "n/0")
            server.shutdown()
        self.assertIn("under way", shown)
        self.assertNotIn("without the broker", shown)
        self.assertNotIn("wanted", shown)

    def test_addresses(self):
        self.good("--url", self.site.url + "/", "status", env={"SLUICE_URL": "http://127.0.0.1:1"})
        self.assertIn("no broker answers at http://127.0.0.1:1", self.bad(1, "--url=http://127.0.0.1:1", "status"))
        self.assertIn("is no address", self.bad(1, "--url", "ftp://x", "status"))
        # A proxy in the environment does not get the key of a broker on this machine.
        self.good("status", env={"http_proxy": "http://127.0.0.1:1", "no_proxy": ""})


class Damage(CliCase):
    def test_a_ledger_that_does_not_add_up_is_told(self):
        self.wait_batch(self.submit("one\ntwo\nthree\n"))
        self.assertTrue(self.site.stop("agent"))
        self.assertTrue(self.site.stop("broker"))
        edit_store(self.site.store, lambda db: db.execute(
            "UPDATE transfers SET amount_nusd = amount_nusd + 1 "
            "WHERE id = (SELECT max(id) FROM transfers WHERE kind=1)"))
        self.site.start_broker()
        said = self.bad(1, "ledger")
        self.assertIn("NOT balanced", said)
        self.assertRegex(said, "tenant:demo|revenue:lease")
        done = self.run_sluice("ledger", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["balanced"]), (1, False))


if __name__ == "__main__":
    unittest.main()
