# SPDX-License-Identifier: Apache-2.0
"""Several pools at a site: split by policy, one of them dies and comes back, workers by device, and every
figure against the pools' own books."""
import json
import re
import subprocess
import tempfile
import time
import unittest

from sluice_site import Site, free_port
from support import BUILD, MODELS, STILL, SiteCase

POLICY = """pools:
  use:
    - {name: north, share: 700}
    - {name: south, share: 300}
  return: 1s
  hold: 1s
  window: 20s
"""


def pools_of(text, north, south):
    """The agent's configuration with two pools in place of its one."""
    lines = text.split("\n")
    at = lines.index("pool:")
    lines[at:at + 3] = [f"""pools:
  - name: north
    url: stratum+tcp://127.0.0.1:{north}
    user: acct.{{node}}-{{pool}}
  - name: south
    url: stratum+tcp://127.0.0.1:{south}
    user: acct.{{node}}.{{device}}
    suggest_difficulty: auto"""]
    text = "\n".join(lines)
    return text[:text.index("models:")] + text[text.index("launch:"):]  # hashing is all that is asked for


class PoolSet(SiteCase):
    """Two devices, so one for each pool; pool "south" is the test's own process."""
    options = {"split_cpu": 2, "policy_extra": POLICY, "launch_ms": 20, "ttl": "3s"}
    parts = ("pool", "broker")
    south = None

    @classmethod
    def prepared(cls):
        site = cls.site
        cls.south_port, cls.south_log = free_port(), site.path("south.log")
        with open(site.path("agent.yaml")) as f:
            text = pools_of(f.read(), site.pool_port, cls.south_port)
        with open(site.path("agent.yaml"), "w") as f:
            f.write(text)
        cls.start_south()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.site.start("agent")
            ready = lambda: [d["mode"] for d in cls.site.devices()] == ["hash"] * 2
            if not cls.site.wait_for(ready, 240):
                raise AssertionError("the devices do not hash")
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def start_south(cls):
        with open(cls.site.path("logs", "south.log"), "a") as log:
            cls.south = subprocess.Popen(
                [cls.site.binary("sluice-test-pool"), "--port", str(cls.south_port), "--log", cls.south_log,
                 "--difficulty", "0.0002", "--clean-every", "12s", "--seed", "2"], stdout=log, stderr=log)
        if not cls.site.wait_for(lambda: cls.site.port_open(cls.south_port), 10):
            raise AssertionError("the second pool does not answer")

    @classmethod
    def stop_south(cls):
        if cls.south:
            cls.south.kill()
            cls.south.wait()
            cls.south = None

    @classmethod
    def tearDownClass(cls):
        cls.stop_south()
        super().tearDownClass()

    def pools(self):
        return {pool["name"]: pool for pool in self.site.api("GET", "/api/v1/pools")["pools"]}

    def wait_split(self, wanted, timeout_s):
        """Until so many devices were sent to north and to south; how long that took."""
        began = time.monotonic()
        self.assertTrue(self.site.wait_for(
            lambda: (lambda p: (p["north"]["devices"], p["south"]["devices"]) == wanted)(self.pools()), timeout_s,
            0.05), {k: (v["devices"], v["state"], v["trouble"]) for k, v in self.pools().items()})
        return time.monotonic() - began

    @staticmethod
    def book(path):
        """What a pool wrote of each share: its worker and its answer."""
        with open(path) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def working(self, log, workers, timeout_s=10):
        """Until so many workers have had a share accepted from now on."""
        before = len(self.book(log))
        seen = set()

        def look():
            seen.update(row["worker"] for row in self.book(log)[before:] if row["result"] == "accepted")
            return len(seen) >= workers
        self.assertTrue(self.site.wait_for(look, timeout_s, 0.05), seen)
        return seen

    def test_1_the_rate_is_split_and_workers_are_named(self):
        self.wait_modes("hash")
        self.wait_split((1, 1), 20)
        north = self.working(self.site.pool_log, 1)
        self.assertEqual(north, {"acct.demo-node-north"})
        south = self.working(self.south_log, 1)
        self.assertTrue(all(re.fullmatch(r"acct\.demo-node\.pocl-\d", name) for name in south), south)
        pools = self.pools()
        self.assertEqual([pools[n]["state"] for n in ("north", "south")], ["good", "good"])
        self.assertEqual([pools[n]["share_permille"] for n in ("north", "south")], [700, 300])
        with open(self.site.path("logs", "agent.log")) as f:
            logs = f.read()
        self.assertIn("pool.suggest pool=south", logs)
        self.assertNotIn("pool.suggest pool=north", logs)

    def test_2_a_pool_that_dies_is_left_in_seconds(self):
        epochs = {d["key"]: d["epoch"] for d in self.site.devices()}
        self.stop_south()
        self.assertLess(self.wait_split((2, 0), 5), 5)
        self.assertEqual(set(self.modes()), {"hash"})
        trouble = self.pools()["south"]
        self.assertEqual(trouble["state"], "down")
        self.assertIn("node", trouble["trouble"])
        self.start_south()
        self.wait_split((1, 1), 15)  # the pool's back-off, and the policy's `return`
        self.assertEqual({d["key"]: d["epoch"] for d in self.site.devices()}, epochs)  # no lease was touched
        self.site.kill("pool")
        self.assertLess(self.wait_split((0, 2), 5), 5)
        self.assertEqual(len(self.working(self.south_log, 2)), 2)  # each device is a worker of its own
        self.site.start("pool")
        self.wait_split((1, 1), 15)

    def test_3_the_books_of_the_pools(self):
        self.sluice("drain", "demo-node")
        self.wait_modes("idle", 10)
        spooled = lambda: sum(n["shares_spooled"] for n in self.site.api("GET", "/api/v1/nodes")["nodes"])
        self.assertTrue(self.site.wait_for(lambda: spooled() == 0, 10, 0.1))
        stored = {}
        for pool, outcome, n in self.query("SELECT pool, outcome, count(*) FROM shares GROUP BY pool, outcome"):
            stored.setdefault(pool, {})[outcome] = n
        self.assertEqual(set(stored), {"north", "south"})
        shown = self.pools()
        for name, log in (("north", self.site.pool_log), ("south", self.south_log)):
            accepted = sum(row["result"] == "accepted" for row in self.book(log))
            mine, unknown = stored[name].get(1, 0), stored[name].get(4, 0)
            self.assertLessEqual(mine, accepted)
            self.assertLessEqual(accepted, mine + unknown)
            self.assertEqual(shown[name]["shares_accepted"], mine)
            self.assertEqual(shown[name]["shares_unknown"], unknown)
            self.assertGreater(shown[name]["latency_us_p99"], 0)
            self.assertGreater(shown[name]["window"]["measured_hs"], 0)
        quoted = {row["name"]: int(row["quoted_nusd"])
                  for row in self.site.api("GET", "/api/v1/ledger?check=1")["pools"]}
        revenue = dict(self.query("SELECT id, credits FROM accounts"))["revenue:hash"]
        self.assertEqual(sum(quoted.values()), int(revenue))
        self.check_ledger()

    def test_4_people_and_machines_read_it(self):
        text = self.sluice("pools")
        for word in ("north", "south", "good", "70 %", "30 %", "latency", "effective"):
            self.assertIn(word, text)
        self.assertIn("Hash revenue by pool", self.sluice("ledger"))
        answer = json.loads(self.sluice("pools", "--json"))
        self.assertEqual(len(answer["connections"]), 2)
        metrics = str(self.site.raw("GET", "/metrics"))
        self.assertIn('sluice_pool_shares_total{pool="south",outcome="accepted"}', metrics)
        self.assertIn('sluice_pool_latency_seconds{pool="north",quantile="0.99"}', metrics)

    def test_5_each_pool_pays_for_its_own_shares(self):
        csv = self.site.path("paid.csv")
        quoted = {n: p["quoted_nusd"] for n, p in self.pools().items()}

        def pay(name, to):
            with open(csv, "w") as f:
                f.write(f"from,to,pool,amount,currency\n2026-01-01,{to},{name},1,USD\n")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        pay("elsewhere", now)
        self.assertIn("several pools", self.sluice("settle", "import", csv, code=1))
        for name in ("north", "south"):
            pay(name, now)
            self.sluice("settle", "import", csv)
        pay("south", now)
        self.assertIn("settled already", self.sluice("settle", "import", csv, code=1))
        rows = dict(self.query("SELECT only_pool, quoted_nusd FROM settlements"))
        self.assertEqual(set(rows), {"north", "south"})
        after = {n: p["quoted_nusd"] for n, p in self.pools().items()}
        for name, settled in rows.items():  # up to a whole second, and shares go on coming
            self.assertTrue(0 < settled <= int(after[name]), (name, settled, quoted, after))
        self.check_ledger()


class Mistakes(unittest.TestCase):
    """Each is refused before anything starts, with what is wrong and where."""

    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        cls.site = Site(BUILD, cls.out.name, MODELS, **STILL)
        cls.site.prepare()
        with open(cls.site.path("agent.yaml")) as f:
            cls.good = pools_of(f.read(), 1, 2)

    @classmethod
    def tearDownClass(cls):
        cls.out.cleanup()

    def refused(self, program, name, text):
        path = self.site.path(name)
        with open(path, "w") as f:
            f.write(text)
        config = self.site.path("broker.yaml" if program == "sluice-broker" else name)
        done = subprocess.run([self.site.binary(program), "--config", config, "--check-config"],
                              capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0, text)
        return done.stderr

    def test_of_an_agent(self):
        bad = self.good.replace("{device}", "{rig}")
        line = next(i for i, l in enumerate(bad.split("\n"), 1) if "{rig}" in l)
        said = self.refused("sluice-agent", "bad.yaml", bad)
        self.assertIn(f"bad.yaml:{line}: pools[1].user: '{{rig}}' is no placeholder", said)
        for change, wanted in (
                (lambda t: t.replace("name: south", "name: north"), "two pools are called 'north'"),
                (lambda t: t.replace("name: south", "name: so/uth"), "letters, digits"),
                (lambda t: t + "pool:\n  url: stratum+tcp://a:1\n  user: u\n", "both 'pool' and 'pools'"),
                (lambda t: t.replace("suggest_difficulty: auto", "suggest_difficulty: often"), "'often'"),
                (lambda t: t.replace(":2\n", "\n"), "pools[1].url")):
            self.assertIn(wanted, self.refused("sluice-agent", "bad.yaml", change(self.good)))

    def test_of_a_policy(self):
        for text, wanted in (("pools:\n  use:\n    - {name: a}\n    - {name: a}\n", "'a' twice"),
                             ("pools:\n  use:\n    - {name: a, share: 1001}\n", "share"),
                             ("pools:\n  use:\n    - {share: 5}\n", "name"),
                             ("pools:\n  retry: 0s\n", "retry")):
            self.assertIn(wanted, self.refused("sluice-broker", "policy.yaml", text))


if __name__ == "__main__":
    unittest.main()
