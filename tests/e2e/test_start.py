# SPDX-License-Identifier: Apache-2.0
"""Starting, refusing to start, and stopping: every refusal says what is wrong and what to do."""
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from sluice_site import Site, free_port
from support import BUILD, MODELS, STILL, SiteCase, edit_store


def run(*args, env=None, timeout=60):
    return subprocess.run(args, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})


class Configuration(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = Site(BUILD, cls.out, MODELS, **STILL)
        cls.site.prepare()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.out, ignore_errors=True)

    def refused(self, program, name, change, wanted, line_of=None):
        with open(self.site.path(name)) as f:
            text = change(f.read())
        path = self.site.path("bad.yaml")
        with open(path, "w") as f:
            f.write(text)
        done = run(self.site.binary(program), "--config", path, "--check-config")
        self.assertNotEqual(done.returncode, 0, text)
        self.assertIn(wanted, done.stderr)
        if line_of:
            number = next(i for i, l in enumerate(text.split("\n"), 1) if line_of in l)
            self.assertIn(f"{path}:{number}", done.stderr)

    def test_good_configurations_are_good_and_print(self):
        for program, name in (("sluice-broker", "broker.yaml"), ("sluice-agent", "agent.yaml")):
            done = run(self.site.binary(program), "--config", self.site.path(name), "--check-config")
            self.assertEqual(done.returncode, 0, done.stderr)
            printed = run(self.site.binary(program), "--config", self.site.path(name), "--print-config")
            with open("/dev/full", "w") as full:
                cut = subprocess.run([self.site.binary(program), "--config", self.site.path(name), "--print-config"],
                                     stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
            self.assertEqual((cut.returncode, "No space left" in cut.stderr), (1, True))
            self.assertEqual(printed.returncode, 0, printed.stderr)
            again = self.site.path("again.yaml")
            with open(again, "w") as f:
                f.write(printed.stdout)
            self.assertEqual(run(self.site.binary(program), "--config", again, "--print-config").stdout,
                             printed.stdout)

    def test_bad_values_are_refused_with_their_line(self):
        cases = [
            ("broker.yaml", "speed: 1", "speed: 010", "speed"),
            ("broker.yaml", "loop: false", "loop: maybe", "loop"),
            ("broker.yaml", "log_level: info", "log_levle: info", "log_levle"),
            ("agent.yaml", "split_cpu: 2", "split_cpu: two", "split_cpu"),
            ("agent.yaml", "split_cpu: 2", "split_cpu: 2\n  rated_watts:\n    hash: 65 kW", "hash: 65 kW"),
            ("agent.yaml", "max_tokens: 256", "max_tokens: 0x10", "max_tokens"),
        ]
        for name, old, new, line_of in cases:
            with self.subTest(new=new):
                program = "sluice-" + name.split(".")[0]
                self.refused(program, name, lambda t: t.replace(old, new, 1), line_of.split(":")[0], line_of)

    def test_bad_policies_are_refused_with_their_line(self):
        cases = [("advantage: 2", "advantage: 2 %", "threshold.advantage"),
                 ("advantage: 2", "advantage: 80x", "threshold.advantage"),
                 ("dwell: 300ms", "dwell: 300", "threshold.dwell"),
                 ("policy: threshold", "policy: luck", "policy"),
                 ("step: 1s", "stepp: 1s", "stepp"),
                 ("step: 1s", "step: 1s\nfbf:\n  theta: 0", "fbf.theta")]
        with open(self.site.path("policy.yaml")) as f:
            good = f.read()
        for old, new, wanted in cases:
            with self.subTest(new=new):
                bad = good.replace(old, new, 1)
                self.assertNotEqual(bad, good)
                with open(self.site.path("bad-policy.yaml"), "w") as f:
                    f.write(bad)
                number = next(i for i, l in enumerate(bad.split("\n"), 1) if l.strip() == new.split("\n")[-1].strip())
                self.refused("sluice-broker", "broker.yaml",
                             lambda t: t.replace('file: "policy.yaml"', 'file: "bad-policy.yaml"', 1), wanted)
                done = run(self.site.binary("sluice-broker"), "--config", self.site.path("bad.yaml"), "--check-config")
                self.assertIn(f"bad-policy.yaml:{number}", done.stderr)

    def test_sample_configurations_are_read(self):
        for program, name in (("sluice-broker", "broker.yaml"), ("sluice-agent", "agent.yaml")):
            path = os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "config", name)
            done = run(self.site.binary(program), "--config", path, "--print-config")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_usage(self):
        for program in ("sluice-broker", "sluice-agent", "sluice", "sluice-test-pool"):
            self.assertEqual(run(self.site.binary(program), "--help").returncode, 0)
            self.assertEqual(run(self.site.binary(program), "--no-such-option").returncode, 2)
        for program in ("sluice-broker", "sluice-agent"):
            done = run(self.site.binary(program), "--config", "/nonexistent.yaml")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("/nonexistent.yaml", done.stderr)


class Refusals(unittest.TestCase):
    def setUp(self):
        self.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.site = Site(BUILD, self.out, MODELS, **STILL)
        self.site.prepare()

    def tearDown(self):
        self.site.stop_all()
        shutil.rmtree(self.out, ignore_errors=True)

    def start(self, name, env=None):
        return run(*self.site.commands()[name], env=env)

    def test_ports_in_use(self):
        for port in (self.site.http_port, self.site.agents_port):
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
                s.listen()
                done = self.start("broker")
                self.assertEqual(done.returncode, 1)
                self.assertIn(str(port), done.stderr)

    def test_a_second_broker_and_a_second_agent_on_one_folder(self):
        self.site.start_broker()
        done = self.start("broker")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another sluice-broker", done.stderr)
        self.site.options["fake_devices"] = 1
        self.site.write_scripts()
        self.site.start_agent()
        done = self.start("agent")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another sluice-agent", done.stderr)
        for name in ("broker", "agent"):
            self.site.check_alive(name)

    def test_a_start_waits_for_the_one_before_to_end(self):
        """A killed process holds its locks until its memory is given back, here for a second."""
        self.site.options["fake_devices"] = 1
        self.site.write_scripts()
        for name, lock in (("broker", "broker/store.db.lock"), ("agent", "agent/lock")):
            path = self.site.path(*lock.split("/"))
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "a") as dying:
                fcntl.flock(dying, fcntl.LOCK_EX)
                self.site.start(name)
                time.sleep(1)
                self.site.check_alive(name)
                self.assertIn("lock.wait", self.site.log_tail(name))
            if name == "broker":
                self.site.wait_broker()
            else:
                self.assertTrue(self.site.wait_for(self.site.devices_ready, 60), self.site.log_tail(name))

    def test_a_key_file_that_others_may_read(self):
        os.chmod(self.site.path("broker.key"), 0o644)
        done = self.start("broker")
        self.assertEqual(done.returncode, 1)
        self.assertIn("broker.key", done.stderr)

    def test_no_opencl_platform(self):
        empty = self.site.path("no-icds")
        os.makedirs(empty)
        done = self.start("agent", env={"OCL_ICD_VENDORS": empty})
        self.assertEqual(done.returncode, 1)
        self.assertIn("OpenCL", done.stderr)
        self.assertIn("install", done.stderr)

    def test_a_damaged_store(self):
        self.site.start_broker()
        self.assertTrue(self.site.stop("broker"))
        with open(self.site.store, "r+b") as f:
            f.write(b"not a database, not at all")
        done = self.start("broker")
        self.assertEqual(done.returncode, 1)
        self.assertIn("store.db", done.stderr)

    def test_a_store_whose_rows_do_not_fit_each_other(self):
        """A row that the core refuses must not pass for the end of the list that it stands in."""
        self.site.start_broker()
        self.assertTrue(self.site.stop("broker"))
        def edit(db):
            names = [row[1] for row in db.execute("PRAGMA table_info(batches)")]
            row = {name: 0 for name in names}
            row.update(id="batch_odd", tenant="demo", input_file="", output_file="", error_file="", model="m",
                       endpoint="/v1/embeddings", state="in_progress", after="invalid", lines_total=1 << 31,
                       remainder="0", metadata=None, errors=None)
            db.execute(f"INSERT INTO batches({','.join(names)}) VALUES({','.join(':' + n for n in names)})", row)
        edit_store(self.site.store, edit)
        done = self.start("broker")
        self.assertEqual(done.returncode, 1)
        self.assertIn("batch batch_odd does not fit", done.stderr)
        self.assertIn("restore a backup", done.stderr)

    def test_damaged_models(self):
        good = os.path.join(MODELS, "all-MiniLM-L6-v2.gguf")
        with open(good, "rb") as f:
            head = f.read(1 << 20)
        for damage in (head[:1000], head, b"GGUF" + b"\xff" * 4096, b""):
            bad = self.site.path("bad.gguf")
            with open(bad, "wb") as f:
                f.write(damage)
            with open(self.site.path("agent.yaml")) as f:
                text = f.read().replace(good, bad)
            with open(self.site.path("agent.yaml"), "w") as f:
                f.write(text)
            # The agent itself runs without that model: test_model_file.py.
            done = run(*self.site.commands()["agent"], "--check-config")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("bad.gguf", done.stderr)
            with open(self.site.path("agent.yaml"), "w") as f:
                f.write(text.replace(bad, good))


class Stopping(SiteCase):
    options = {"fake_devices": 2}

    def test_sigterm_ends_everything_with_0(self):
        for name in ("agent", "broker", "pool"):
            with self.subTest(name=name):
                pid = self.site.pid(name)
                os.kill(pid, signal.SIGTERM)
                self.assertTrue(self.site.wait_for(lambda: self.is_over(pid), 10))
        self.assertNotIn("assert", self.site.log_tail("broker", 50))
        self.check_exit_codes()

    def is_over(self, pid):
        """Gone, or nothing but an exit code that nobody has read yet."""
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().split(") ")[1][0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def check_exit_codes(self):
        """The same once more as children, whose exit codes can be seen."""
        out = tempfile.mkdtemp(prefix="sluice-e2e-")
        site = Site(BUILD, out, MODELS, **STILL, fake_devices=2)
        site.prepare()
        processes = []
        try:
            for name in ("pool", "broker", "agent"):
                with open(site.path("logs", name), "w") as log:
                    processes.append((name, subprocess.Popen(site.commands()[name], stdout=log, stderr=log)))
                site.wait_for(lambda: site.port_open(site.pool_port if name == "pool" else site.http_port), 10)
            site.wait_for(lambda: False, 2)
            for name, process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(15), 0, name)
        finally:
            for _, process in processes:
                if process.poll() is None:
                    process.kill()
            shutil.rmtree(out, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
