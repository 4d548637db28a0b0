# SPDX-License-Identifier: Apache-2.0
"""sluice-agent tune: what was tuned is used again, tuned anew when asked or when it cannot be read, and what is
asked wrongly is refused."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from sluice_site import Site
from support import BUILD, MODELS, STILL


class Tuning(unittest.TestCase):
    def setUp(self):
        self.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.site = Site(BUILD, self.out, MODELS, **dict(STILL, split_cpu=0, cache_dir=""))
        self.site.prepare()
        # No model: hashing is what is tuned here.
        with open(self.site.path("agent.yaml")) as f:
            text = re.sub(r"models:\n(  .*\n)+", "", f.read())
        with open(self.site.path("agent.yaml"), "w") as f:
            f.write(text)

    def tearDown(self):
        self.site.stop_all()
        shutil.rmtree(self.out, ignore_errors=True)

    def tune(self, *more):
        return subprocess.run([self.site.binary("sluice-agent"), "tune", "--config", self.site.path("agent.yaml"),
                               *more], capture_output=True, text=True, timeout=120)

    def tuned(self, how, *more):
        done = self.tune(*more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"sha256d +\d+\.\d\d MH/s")
        self.assertRegex(done.stderr, rf"hash\.shape device=0 .* \({how}\)")

    def test_it_is_kept_until_asked_or_damaged(self):
        self.tuned("tuned now")
        [path] = glob.glob(os.path.join(self.site.path("agent"), "kernels", "tuning-*"))
        with open(path) as f:
            text = f.read()
        self.assertRegex(text, r"\Asluice-tuning 1\ndevice .*\ndriver .*\n(task [a-z0-9._-]+ [0-9a-f]{16}( \d+)+\n)+"
                               r"sum [0-9a-f]{64}\n\Z")
        self.tuned("as tuned earlier")
        with open(path, "w") as f:
            f.write(text.replace("task sha256d ", "task sha256e ", 1))
        self.tuned("tuned now")
        self.tuned("as tuned earlier")
        self.tuned("tuned now", "--again")

    def test_wrong_use_is_refused(self):
        agent, config = self.site.binary("sluice-agent"), self.site.path("agent.yaml")
        for arguments, wanted in (((agent, "tune"), "--config FILE is needed"),
                                  ((agent, "--config", config, "--again"), "--again belongs to tune"),
                                  ((agent, "tune", "--config", config, "--check-config"), "tune takes"),
                                  ((agent, "tune", "--config", config, "--fake-devices", "1"), "tune takes"),
                                  ((agent, "tune", "--config", config, "now"), "unexpected argument")):
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(wanted, done.stderr)

    def test_not_beside_a_running_agent(self):
        self.site.options["fake_devices"] = 1
        self.site.write_scripts()
        self.site.start("agent")
        self.assertTrue(self.site.wait_for(lambda: " agent.start " in self.site.log_tail("agent", 50), 20))
        done = self.tune()
        self.assertEqual(done.returncode, 1)
        self.assertIn("another sluice-agent", done.stderr)
        self.site.check_alive("agent")
