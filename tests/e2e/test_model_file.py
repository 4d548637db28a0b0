# SPDX-License-Identifier: Apache-2.0
"""Model files: swapped under one name while a batch is open, and damaged."""
import hashlib
import os
import shutil
import subprocess
import unittest

from sluice_site import MODEL
from support import BUILD, SiteCase


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class ModelFile(SiteCase):
    options = {"fake_devices": 2}

    @classmethod
    def prepared(cls):
        """Two encoders of one shape with other weights, and a file that is none."""
        cls.file, cls.first, cls.second, cls.broken = (cls.site.path(n + ".gguf")
                                                       for n in ("m", "first", "second", "broken"))
        with open(cls.broken, "wb") as f:
            f.write(b"GGUF, but no more")
        for path, seed in ((cls.first, "1"), (cls.second, "2")):
            subprocess.run([os.path.join(BUILD, "tests", "e2e", "model_maker"), path, "f32", "1", "32", "2", "64",
                            "120", "64", "mean", seed], input="2 5 3", capture_output=True, text=True, check=True)
        shutil.copy(cls.first, cls.file)
        with open(cls.site.path("agent.yaml")) as f:
            text = f.read()
        old = os.path.join(cls.site.model_dir, MODEL + ".gguf")
        with open(cls.site.path("agent.yaml"), "w") as f:
            f.write(text.replace(old, cls.file).replace("max_tokens: 256", "max_tokens: 64")
                    .replace("models:\n", f"models:\n  - id: broken\n    path: {cls.broken}\n", 1))

    def swap(self, path):
        """As an operator does it: the agent stops, the file is replaced by rename, the agent starts."""
        self.site.stop("agent")
        shutil.copy(path, self.file + ".new")
        os.rename(self.file + ".new", self.file)
        self.site.start_agent()

    def held(self, batch):
        return next((b["held"] for b in self.site.api("GET", "/api/v1/market")["batches"] if b["id"] == batch), None)

    def done(self, batch):
        return self.site.batch(batch)["request_counts"]["completed"]

    def test_a_batch_keeps_to_the_file_it_began_with(self):
        before = digest(self.first)
        batch = self.site.submit([f"{'a' * (i % 40 + 1)} b" for i in range(6000)], "1000")
        self.assertTrue(self.site.wait_for(lambda: self.done(batch), 20, 0.02), "no line was done")
        self.swap(self.second)
        self.assertTrue(self.site.wait_for(lambda: self.held(batch) == "model file", 20, 0.05), self.held(batch))
        kept = self.done(batch)
        self.assertLess(kept, 6000, "the batch was too short for the test")
        shown = self.sluice("batch", "show", batch)
        self.assertIn(before, shown)
        self.assertRegex(self.sluice("market"), rf"{batch}.*model file")
        self.assertRegex(self.sluice("explain", "fake/0"), "no model file that the batch began with")
        self.assertRegex(self.sluice("events"), r"batch\.file_lost.*Put that back")
        # Another batch is served by what is there, and pinned to it.
        other = self.site.submit(["a", "b"], "500")
        self.wait_batch(other)
        self.assertIn(digest(self.second), self.sluice("batch", "show", other))
        self.assertEqual(self.done(batch), kept, "a line was done with another file")
        self.swap(self.first)
        state = self.wait_batch(batch)
        self.assertEqual(state["request_counts"], {"total": 6000, "completed": 6000, "failed": 0})
        rows = self.query("SELECT model_sha256, billed_nusd FROM batches WHERE id=?", batch)
        self.assertEqual(rows[0][0], before)
        paid = self.query("SELECT coalesce(sum(amount_nusd),0) FROM results WHERE batch=?", batch)
        self.assertEqual(paid[0][0], rows[0][1])

    def test_a_broken_file_takes_its_model_away_only(self):
        why = "model broken is not offered"
        for device in self.site.devices():
            self.assertEqual([m["id"] for m in device["models"]], [MODEL])
            self.assertIn(why, device["note"])
            self.assertIsNone(device["trouble"])
            self.assertEqual(device["health"], "ok")
        self.assertIn(why, self.sluice("devices"))
        self.assertIn(why, self.sluice("explain", "fake/0"))
        with open(self.site.path("logs", "agent.log")) as f:
            self.assertRegex(f.read(), r"model\.unavailable.*model=broken.*broken\.gguf")
        done = subprocess.run([self.site.binary("sluice-agent"), "--config", self.site.path("agent.yaml"),
                               "--check-config"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("model 'broken'", done.stderr)
        batch = self.site.submit(["a"], "1000")
        self.wait_batch(batch)


if __name__ == "__main__":
    unittest.main()
