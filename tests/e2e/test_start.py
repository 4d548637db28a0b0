# SPDX-License-Identifier: Apache-2.0
"""Starting, refusing to start, and stopping: every refusal says what is wrong and what to do."""
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from sluice_site import Site, alive, free_port
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
        for words in (("sluice-broker", "keygen"), ("sluice-broker", "backup"), ("sluice-broker", "restore"),
                      ("sluice-agent", "keygen"), ("sluice-agent", "pool-pin"), ("sluice-agent", "tune"),
                      ("sluice-agent", "join"), ("sluice", "batch", "show"), ("sluice", "agents", "enroll")):
            asked = run(self.site.binary(words[0]), *words[1:], "--help")
            self.assertEqual((asked.returncode, asked.stderr), (0, ""), words)
            self.assertIn(f"{words[0]} {words[1]}", asked.stdout)
        key = self.site.path("full.key")
        for words in (("sluice", "--help"), ("sluice", "--version"), ("sluice", "top", "--help"),
                      ("sluice-broker", "--help"), ("sluice-agent", "--version"),
                      ("sluice-agent", "keygen", "--out", key)):
            with open("/dev/full", "w") as full:
                cut = subprocess.run([self.site.binary(words[0]), *words[1:]], stdout=full, stderr=subprocess.PIPE,
                                     text=True, timeout=30)
            self.assertEqual(cut.returncode, 1, words)
            self.assertEqual(cut.stderr, f"{words[0]}: writing to standard output: No space left on device\n")
        for program in ("sluice-broker", "sluice-agent"):
            done = run(self.site.binary(program), "--config", "/nonexistent.yaml")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("/nonexistent.yaml", done.stderr)


class Streams(unittest.TestCase):
    def test_without_standard_streams_no_file_takes_their_place(self):
        """Log lines in a journal would be its end."""
        out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.addCleanup(shutil.rmtree, out, ignore_errors=True)
        site = Site(BUILD, out, MODELS, fake_devices=1, **STILL)
        site.prepare()
        for program, args, made in (("sluice-broker", (), "broker/store.db.lock"),
                                    ("sluice-agent", ("--fake-devices", "1"), "agent/journal")):
            name = program.split("-")[1] + ".yaml"
            with open(site.path(name)) as f:
                text = re.sub(r"^data_dir:.*", f"data_dir: {site.path(made.split('/')[0])}", f.read(), flags=re.M)
            if program == "sluice-agent":
                text = text[:text.index("models:\n")] + text[text.index("launch:"):]
            with open(site.path(name), "w") as f:
                f.write(text)
            running = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", site.binary(program), "--config",
                                        site.path(name), *args])
            try:
                end = time.monotonic() + 20
                while not os.path.exists(site.path(*made.split("/"))) and time.monotonic() < end:
                    time.sleep(0.05)
                time.sleep(0.5)
                streams = [os.readlink(f"/proc/{running.pid}/fd/{fd}") for fd in range(3)]
            finally:
                running.terminate()
                code = running.wait(timeout=30)
            self.assertEqual((code, streams), (0, ["/dev/null"] * 3), program)


class NamedFiles(unittest.TestCase):
    """--check-config reads the files that a configuration names, and says all that cannot be used."""

    def setUp(self):
        self.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.site = Site(BUILD, self.out, MODELS, fake_devices=1, **STILL)
        self.site.prepare()

    def tearDown(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def write(self, name, text, mode=0o600):
        path = self.site.path(name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def check(self, program, path, code):
        before = self.everything()
        done = run(self.site.binary(program), "--config", path, "--check-config", timeout=30)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(self.everything(), before, "nothing is made or changed")
        return done.stderr.splitlines()

    def everything(self):
        return sorted((root, name, os.lstat(os.path.join(root, name)).st_mtime_ns)
                      for root, folders, files in os.walk(self.out) for name in folders + files)

    def said(self, lines, *wanted):
        """Each in a line of its own, in this order."""
        self.assertEqual(len(lines), len(wanted), lines)
        for line, text in zip(lines, wanted):
            self.assertIn(text, line)

    def sample(self, name, models=None):
        """The configuration that is shipped, with its folders in ours."""
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "config", name)) as f:
            text = f.read()
        text = text.replace("/var/lib/sluice/models", models or self.site.path("sample"))
        for folder in ("/var/lib/sluice/feeds", "/var/lib/sluice/agent", "/var/lib/sluice/broker", "/etc/sluice"):
            text = text.replace(folder, self.site.path("sample"))
        text = re.sub(r"(listen: \S+:)76\d\d", r"\g<1>0", text)  # a broker may run here
        os.makedirs(self.site.path("sample"), exist_ok=True)
        return self.write(name, text, 0o644)

    def test_the_samples_lack_only_what_other_steps_make(self):
        key, model = self.site.path("sample", "agent.key"), "all-MiniLM-L6-v2.gguf"
        path = self.sample("agent.yaml")
        self.said(self.check("sluice-agent", path, 2), "`sluice-agent keygen`", model)
        self.site.run(self.site.binary("sluice-agent"), "keygen", "--out", key)
        self.said(self.check("sluice-agent", path, 2), model)
        self.said(self.check("sluice-agent", self.sample("agent.yaml", MODELS), 0))
        key, path = self.site.path("sample", "broker.key"), self.sample("broker.yaml")
        self.said(self.check("sluice-broker", path, 2), "`sluice-broker keygen`", "allowed-agents",
                  "feed hashprice: cannot read")
        self.site.run(self.site.binary("sluice-broker"), "keygen", "--out", key)
        self.write("sample/allowed-agents", "")
        self.write("sample/hashprice.csv", "timestamp,hashprice_usd_per_ph_day\n2025-01-01,50\n")
        self.said(self.check("sluice-broker", path, 0))

    def test_of_data_dir_and_the_sockets(self):
        """By the user who will run it; while it runs its sockets are its own."""
        for program, name in (("sluice-broker", "broker.yaml"), ("sluice-agent", "agent.yaml")):
            with open(self.site.path(name)) as f:
                good = f.read()
            if program == "sluice-agent":
                good = good[:good.index("models:\n")] + good[good.index("launch:"):]  # they take seconds to load
            for wrong, said in ((self.write("file", ""), "is no folder: move it away"),
                                (self.site.path("no", "where"), "mkdir -p"), (self.site.path("file", "x"), "data_dir: cannot use")):
                path = self.write("bad.yaml", re.sub(r"^data_dir:.*", f"data_dir: {wrong}", good, flags=re.M))
                self.said(self.check(program, path, 2), said)
                self.assertEqual(run(self.site.binary(program), "--config", path).returncode, 1)
        with open(self.site.path("broker.yaml")) as f:
            good = f.read()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            path = self.write("bad.yaml", re.sub(r'(\blisten: "?(?:tcp://)?127.0.0.1:)\d+', rf"\g<1>{port}", good))
            self.said(self.check("sluice-broker", path, 2), "agents.listen: ", "http.listen ")

    def test_of_a_broker(self):
        with open(self.site.path("broker.yaml")) as f:
            good = f.read()
        secret = self.write("secret", "abc\n")
        subprocess.run(("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=a", "-keyout", "/dev/null", "-out", self.site.path("ca.pem")),
                       check=True, capture_output=True)
        os.mkdir(self.site.path("folder"), 0o700)
        os.mkfifo(self.site.path("fifo"), 0o600)
        cases = (("key_file", "nowhere", "cannot read the key in"),
                 ("key_file", "folder", "folder is not a file"),
                 ("key_file", "fifo", "fifo is not a file"),
                 ("key_file", self.write("open", "abc\n", 0o640), "chmod 600"),
                 ("key_file", self.write("blank", "\n"), "is no key"),
                 ("ca_file", "nowhere", "nowhere: No such file"),
                 ("ca_file", "folder", "folder is not a file of certificates"),
                 ("ca_file", "fifo", "fifo is not a file of certificates"),
                 ("ca_file", self.write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                  "holds no certificate"))
        def feed(name, **files):
            files = {"key_file": secret, "ca_file": self.site.path("ca.pem"), **files}
            return (f"  - {{id: {name}, role: power, unit: usd_per_kwh, kind: http, url: 'https://example.org/', "
                    f"value_path: price, key_header: X-Key, key_file: {files['key_file']}, "
                    f"ca_file: {files['ca_file']}}}\n")
        feeds = [feed("good")] + [feed(f"f{i}", **{option: self.site.path(name)})
                                  for i, (option, name, _) in enumerate(cases)]
        path = self.write("bad.yaml", good.replace("\nfeeds:\n", "\nfeeds:\n" + "".join(feeds)))
        lines = self.check("sluice-broker", path, 2)
        self.said(lines, *(said for _, _, said in cases))
        first = next(n for n, line in enumerate(open(path), 1) if "id: f0" in line)
        self.said(lines, *(f"bad.yaml:{first + i}: feeds[{i + 1}]: feed f{i}: " for i in range(len(cases))))
        for option, name, said in (("broker.key", "folder", "folder is not a key file"),
                                   ("broker.key", "fifo", "fifo is not a key file"),
                                   ("broker.key", "open", "chmod 600"),
                                   ("allowed-agents", "folder", "folder is not a file of allowed agent keys"),
                                   ("allowed-agents", "fifo", "fifo is not a file of allowed agent keys"),
                                   ("allowed-agents", "secret", "secret:1: "),
                                   ("feeds/hashprice.csv", "fifo", "fifo is not a file"),
                                   ("feeds/hashprice.csv", "secret", "feed hashprice: ")):
            with self.subTest(option=option, name=name):
                path = self.write("bad.yaml", good.replace(self.site.path(option), self.site.path(name)))
                said_now = self.check("sluice-broker", path, 2)
                self.said(said_now, said)
                if name == "folder":  # a start says the same; a feed, while the broker runs
                    done = run(self.site.binary("sluice-broker"), "--config", path)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(said, done.stderr)

    def test_of_an_agent(self):
        with open(self.site.path("agent.yaml")) as f:
            good = f.read()
        good = good[:good.index("models:\n")] + good[good.index("launch:"):]  # they take seconds to load
        bad_pem = self.write("bad.pem", "not a certificate\n")
        os.mkdir(self.site.path("folder"), 0o700)
        os.mkfifo(self.site.path("fifo"), 0o600)
        cases = (("password_file", "nowhere", "pools[0].password_file {}: No such file"),
                 ("password_file", "folder", "pools[1].password_file {} is not a file"),
                 ("password_file", "fifo", "pools[2].password_file {} is not a file"),
                 ("password_file", self.write("open", "abc\n", 0o640), "pools[3].password_file {}: others may read it"),
                 ("password_file", self.write("empty", ""), "pools[4].password_file {} is empty"),
                 ("tls_ca_file", "nowhere", "pools[5]: tls_ca_file {} cannot be read: No such file"),
                 ("tls_ca_file", "fifo", "pools[6]: tls_ca_file {} is not a file"),
                 ("tls_ca_file", bad_pem, "pools[7]: tls_ca_file {} holds no certificate"))
        pools = "".join(f"  - {{name: p{i}, url: 'stratum+ssl://p{i}.test:1', user: u, "
                        f"{option}: {self.site.path(name)}}}\n" for i, (option, name, _) in enumerate(cases))
        begin, end = good.index("pool:\n"), good.index("devices:\n")
        path = self.write("bad.yaml", good[:begin] + "pools:\n" + pools + good[end:])
        self.said(self.check("sluice-agent", path, 2), *(s.format(self.site.path(name)) for _, name, s in cases))
        done = run(self.site.binary("sluice-agent"), "--config", path, "--fake-devices", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn(cases[0][2].format(self.site.path("nowhere")), done.stderr)
        for name, said in (("folder", "folder is not a key file"), ("fifo", "fifo is not a key file"),
                           ("open", "others may read the key file"), ("empty", "empty lacks its `public KEY`"),
                           ("nowhere", "make one with `sluice-broker keygen` or `sluice-agent keygen`")):
            path = self.write("bad.yaml", good.replace(self.site.path("agent.key"), self.site.path(name)))
            self.said(self.check("sluice-agent", path, 2), said)


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

    def test_what_stands_in_the_place_of_the_brokers_files(self):
        """A FIFO, a folder, a file: said at once by its name. It was waited for, or found out by tenants."""
        self.site.start_broker()
        self.assertTrue(self.site.stop("broker"))
        for name, make, said in (("store.db", os.mkfifo, "is not a regular file"),
                                 ("store.db", os.mkdir, "is not a regular file"),
                                 ("store.db-wal", os.mkfifo, "is not a regular file"),
                                 ("store.db-shm", os.mkdir, "is not a regular file"),
                                 ("files", lambda path: open(path, "w").close(), "is no folder"),
                                 ("lines", lambda path: os.symlink("/nonexistent/folder", path), "is no folder")):
            path = self.site.path("broker", name)
            if os.path.exists(path):
                os.rename(path, path + ".kept")
            make(path)
            done = self.start("broker")
            self.assertEqual(done.returncode, 1, name + done.stderr)
            self.assertIn(f"{path} {said}: move it away", done.stderr)
            (os.rmdir if os.path.isdir(path) else os.remove)(path)
            if os.path.exists(path + ".kept"):
                os.rename(path + ".kept", path)
        self.site.start_broker()

    @unittest.skipIf(os.geteuid() != 0, "only root can give files away")
    def test_files_of_another_user(self):
        """The unit's user after somebody ran the broker, or sqlite3, as root."""
        self.site.start_broker()
        self.site.kill("broker")
        self.site.wait_for(lambda: not alive(self.site.pid("broker")), 10)
        os.chmod(self.out, 0o755)
        for folder, folders, files in os.walk(self.out):
            for entry in [folder, *(os.path.join(folder, name) for name in folders + files)]:
                os.chown(entry, 65534, 65534)
        for name in ("store.db", "store.db-wal", "store.db-shm", "files", "lines"):
            path = self.site.path("broker", name)
            os.chown(path, 0, 0)
            done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *self.site.commands()["broker"])
            self.assertEqual(done.returncode, 1, name + done.stderr)
            self.assertIn(f"{path} belongs to the user with the number 0 and cannot be", done.stderr)
            self.assertIn("chown", done.stderr)
            os.chown(path, 65534, 65534)

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

    def test_sigterm_during_the_start_is_an_orderly_end(self):
        """From the moment at which the program handles it, in steps through the start."""
        out = tempfile.mkdtemp(prefix="sluice-e2e-")
        site = Site(BUILD, out, MODELS, **STILL, fake_devices=2)
        site.prepare()
        try:
            for name in ("broker", "agent"):
                for delay_ms in (0, 5, 10, 20, 40, 80, 160, 320, 640):
                    with self.subTest(name=name, delay_ms=delay_ms), open(site.path("logs", name), "w") as log:
                        process = subprocess.Popen(site.commands()[name], stdout=log, stderr=log)
                        self.assertTrue(site.wait_for(lambda: self.handles_sigterm(process.pid), 10, 0.001))
                        time.sleep(delay_ms / 1000)
                        process.send_signal(signal.SIGTERM)
                        try:
                            self.assertEqual(process.wait(15), 0)
                        finally:
                            process.kill()
                        if delay_ms == 0:  # it had not come to its loop, which would have said so
                            with open(site.path("logs", name)) as f:
                                self.assertNotIn("stop", f.read())
        finally:
            shutil.rmtree(out, ignore_errors=True)

    @staticmethod
    def handles_sigterm(pid):
        with open(f"/proc/{pid}/status") as f:
            caught = re.search(r"^SigCgt:\s*(\w+)", f.read(), re.M)
        return bool(int(caught.group(1), 16) >> (signal.SIGTERM - 1) & 1)

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
