# SPDX-License-Identifier: Apache-2.0
"""Keys that change or get lost: an agent's new key that is gone before it was used; the broker's own key."""
import os
import re
import signal
import subprocess

from support import edit_store
from test_join import JoinCase


class TestLostKey(JoinCase):
    def test_another_takes_the_place_of_one_that_was_lost(self):
        config = self.member("alpha")
        key_file = os.path.join(self.out, "alpha", "data", "agent.key")
        first = self.agent("alpha")["public_key"]
        self.agents[0].terminate()
        self.agents[0].wait(30)
        self.site.stop("broker")
        # As after a crash between the broker's commit and the agent's: the new key is admitted, and gone.
        lost = self.site.run(self.site.binary("sluice-agent"), "keygen", "--out", self.site.path("lost.key")).strip()
        edit_store(self.site.store, lambda db: db.execute(
            "UPDATE agents SET key=?, key_before=key, before_until_ms=4102444800000, rotation=1, overlap_ms=60000",
            (lost,)))
        self.site.start_broker()
        self.start(config)
        self.wait_log(config, "the new key cannot be used, the old one stays.*sluice agents rotate alpha")
        self.wait_session("alpha")
        self.assertTrue(self.agent("alpha")["rotating"])
        self.assertIn("was asked for a new key", self.sluice("agents", "rotate", "alpha", "--overlap", "1m"))
        self.assertTrue(self.site.wait_for(
            lambda: self.agent("alpha")["public_key"] not in (first, lost), 10, 0.05), self.agent("alpha"))
        new = self.agent("alpha")["public_key"]
        self.wait_log(config, "opened with the new key " + re.escape(new))
        self.wait_session("alpha")
        with open(key_file) as f:
            self.assertIn(new, f.read())
        self.assertIn((lost,), self.query("SELECT key FROM retired_keys"))
        # It was used by now: nobody may put another in its place before the old one has ended.
        self.assertTrue(self.site.wait_for(
            lambda: "agents.rotate.used" in self.sluice("audit", "--limit", "1000"), 10, 0.1))
        self.assertIn("is not over", self.sluice("agents", "rotate", "alpha", code=1))


class TestBrokerKey(JoinCase):
    def set_next(self, key):
        path = self.site.path("broker.yaml")
        with open(path) as f:
            text = re.sub(r"  next_key: .*\n", "", f.read())
        with open(path, "w") as f:
            f.write(text.replace("agents:\n", f'agents:\n  next_key: "{key}"\n' if key else "agents:\n", 1))

    def adopt(self):
        """One start with --adopt-store, as docs/operating.md says."""
        with subprocess.Popen([self.site.binary("sluice-broker"), "--config", self.site.path("broker.yaml"),
                               "--adopt-store"], stderr=subprocess.DEVNULL) as broker:
            try:
                self.assertTrue(self.site.wait_for(self.site.healthy, 20))
            finally:
                broker.send_signal(signal.SIGTERM)
                self.assertEqual(broker.wait(30), 0)

    def test_agents_follow_the_broker_to_its_new_key(self):
        config = self.member("alpha")
        absent = self.member("beta")
        self.agents[1].terminate()
        self.agents[1].wait(30)
        old_key, new_key = self.site.path("broker.key"), self.site.path("broker.key.new")
        public = self.site.run(self.site.binary("sluice-broker"), "keygen", "--out", new_key).strip()
        self.set_next(public)
        self.restart_broker()
        self.assertTrue(self.site.wait_for(lambda: self.agent("alpha")["next_broker_key"] == "kept", 30, 0.1))
        self.assertEqual(self.agent("beta")["next_broker_key"], "not kept")
        listed = self.sluice("agents", "ls")
        self.assertRegex(listed, r"kept by 1 of 2 agents, not by\n  beta \(")
        self.assertEqual(len(re.findall("server.key.*its next one", self.log(config))), 1)
        # The switch. A crash of the agent before it changes nothing.
        self.site.stop("broker")
        self.agents[0].kill()
        self.agents[0].wait(30)
        os.rename(old_key, old_key + ".old")
        os.rename(new_key, old_key)
        self.adopt()
        self.site.start_broker()
        self.start(config)
        self.wait_session("alpha", timeout_s=60)
        self.assertEqual(self.agent("alpha")["next_broker_key"], "none")  # agents.next_key has come
        self.wait_log(config, "the broker's key is " + re.escape(public))
        self.assertTrue(self.site.wait_for(lambda: self.agent("alpha")["devices"] == 2, 20, 0.1))
        self.check_ledger()
        # Who was away when it was said, is told by hand.
        self.start(absent)
        self.wait_log(absent, "no connection to the broker", 30)
        self.agents[-1].terminate()
        self.agents[-1].wait(30)
        with open(absent) as f:
            text = f.read()
        with open(absent, "w") as f:
            f.write(re.sub(r'server_key: ".*"', lambda _: f'server_key: "{public}"', text))
        self.start(absent)
        self.wait_session("beta")
        # Whoever holds the old key is nobody any more, also after a restart of the agent.
        self.set_next("")
        self.site.stop("broker")
        os.rename(old_key, new_key)
        os.rename(old_key + ".old", old_key)
        self.adopt()
        self.site.start_broker()
        self.agents[2].terminate()
        self.agents[2].wait(30)
        self.start(config)
        self.wait_log(config, "the broker has the key " + re.escape(public) + " by now")
        self.wait_log(config, "no connection to the broker", 30)
        self.assertNotEqual(self.agent("alpha")["session"], "live")
