# SPDX-License-Identifier: Apache-2.0
"""A key that got lost: an agent's new one that is gone before it was used."""
import os
import re

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
