# SPDX-License-Identifier: Apache-2.0
"""Price feeds: every ready description against a server that answers as its source documents, and every
kind of bad answer, each with its reason in the site's view, and none of them forgotten prices."""
import datetime
import glob
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest

from feed_sources import KEY, Sources, stamp
from sluice_site import Site
from support import BUILD, MODELS

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
READY = os.path.join(ROOT, "deploy", "feeds")


def central(offset_s):
    """A time as gridstatus writes it for Texas in winter."""
    zone = datetime.timezone(datetime.timedelta(hours=-6))
    return datetime.datetime.fromtimestamp(time.time() + offset_s, zone).strftime("%Y-%m-%d %H:%M:%S-06:00")


def lines_of(path):
    try:
        with open(path) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


class FeedSite(Site):
    """A broker alone, with the feeds that a test writes."""

    feeds = ""

    def write_broker_config(self):
        super().write_broker_config()
        with open(self.path("broker.yaml")) as f:
            text = f.read()
        text = re.sub(r"(?ms)^feeds:.*?(?=^tenants:)", lambda _: "feeds:\n" + self.feeds, text)
        text = text.replace("tariff: feed", "tariff: unknown")
        with open(self.path("broker.yaml"), "w") as f:
            f.write(text)


class FeedCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.sources = Sources()
        cls.site = FeedSite(BUILD, cls.out, MODELS)
        try:
            cls.site.feeds = cls.describe()
            cls.site.prepare()
            cls.site.start_broker()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.site.stop_all()
        cls.sources.close()
        if os.environ.get("SLUICE_KEEP"):
            print("kept:", cls.out)
        else:
            shutil.rmtree(cls.out, ignore_errors=True)

    @classmethod
    def write(cls, name, text, mode=0o600):
        path = os.path.join(cls.out, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    @classmethod
    def feed(cls, name):
        return next(f for f in cls.site.api("GET", "/api/v1/market")["feeds"] if f["id"] == name)

    def wait_feed(self, name, good, timeout_s=10):
        if not self.site.wait_for(lambda: good(self.feed(name)), timeout_s, 0.1):
            self.fail(f"{name}: {self.feed(name)}; {self.site.log_tail('broker')}")
        return self.feed(name)


class Ready(FeedCase):
    # file: more keys of the item, the value in its role's unit and its own currency, least age
    wanted = {
        "mempool": ("", "164.310188566", 30),
        "mempool-btc": ("", "0.004107754", 0),
        "mempool-price": ("", "40000.00", 30),
        "luxor": ("key_file: {out}/luxor.key", "50.10", 90),
        "whattomine": ("", "10.00", 60),
        "nicehash": ("", "5.7128", 0),
        "coingecko": ("", "41000.50", 20),
        "vast": ("", "0.40", 0),
        "runpod": ("", "1.19", 0),
        "gridstatus": ("path: {out}/ercot.csv", "-0.00325", 120),
        "octopus": ("", "0.152", 0),
        "generic-json": ("", "0.0712", 0),
        "generic-csv": ("", "0.04125", 600),
    }

    @classmethod
    def describe(cls):
        cls.write("luxor.key", KEY + "\n")
        cls.write("ercot.csv", "Time,Interval Start,Interval End,Location,Location Type,Market,SPP\n" + "".join(
            f"{at},{at},{end},{place},Load Zone,REAL_TIME_15_MIN,{price}\n" for at, end, place, price in (
                ("2025-11-02 01:45:00-05:00", "2025-11-02 01:00:00-06:00", "LZ_HOUSTON", "21.5"),
                ("2025-11-02 01:45:00-06:00", "2025-11-02 02:00:00-06:00", "LZ_HOUSTON", "23"),
                (central(-120), central(780), "LZ_HOUSTON", "-3.25"),
                (central(-120), central(780), "LZ_WEST", "77"))))
        text = f"  - {{id: gbp, description: {READY}/generic-json.yaml, role: currency, unit: usd_per_gbp, " \
               f"url: '{cls.sources.url}/gbp'}}\n"
        cls.sources.answers["/gbp"] = (200, {"price": 1.31})
        for name, (keys, _, _) in cls.wanted.items():
            text += f"  - id: {name}\n    description: {os.path.relpath(READY, cls.out)}/{name}.yaml\n"
            with open(os.path.join(READY, name + ".yaml")) as f:
                url = re.search(r"(?m)^url: (https://[^/\n]+)(\S*)", f.read())
            if url:
                text += f"    url: {cls.sources.url}{url.group(2)}\n"
            text += f"    {keys.format(out=cls.out)}\n" if keys else ""
        return text

    def test_every_ready_description_is_tested_here(self):
        self.assertEqual(sorted(self.wanted),
                         sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(READY, "*.yaml"))))

    def test_each_shows_its_sources_price(self):
        for name, (_, value, age_s) in self.wanted.items():
            with self.subTest(name=name):
                feed = self.wait_feed(name, lambda f: f["trouble"] != "nothing read yet")
                self.assertEqual((feed["value"], feed["trouble"]), (value, None), feed)
                self.assertGreaterEqual(feed["age_ms"], age_s * 1000)
                self.assertFalse(feed["stale"], feed)

    def test_one_answer_serves_all_inputs_that_stand_in_it(self):
        self.wait_feed("mempool", lambda f: f["value"])
        self.wait_feed("mempool-btc", lambda f: f["value"])
        self.assertEqual(self.sources.asked["/api/v1/mining/reward-stats/144"], 2)  # one for each feed

    def test_no_key_in_the_log(self):
        self.wait_feed("luxor", lambda f: f["value"])
        with open(self.site.path("logs", "broker.log")) as f:
            self.assertNotIn(KEY, f.read())

    def test_values_are_recorded_in_their_unit(self):
        for name, unit in (("octopus", "gbp_per_kwh"), ("mempool-btc", "btc_per_ph_day"), ("gbp", "usd_per_gbp"),
                           ("luxor", "usd_per_ph_day")):
            self.wait_feed(name, lambda f: f["value"])
            path = self.site.path("broker", "prices", name + ".csv")
            self.assertTrue(self.site.wait_for(lambda: len(lines_of(path)) > 1, 5), path)
            self.assertEqual(lines_of(path)[0], f"timestamp,{unit}")


class Bad(FeedCase):
    """One feed for each bad answer; each has answered well before."""

    # name: bad answer, what is said, is the last price still in force
    cases = {
        "html": ((200, "<!doctype html><title>Sign in</title>"), "a web page, not JSON", False),
        "cut": ((200, '{"price": 0.0'), "not JSON", False),
        "text": ((200, {"price": "0.07 USD"}), "'0.07 USD' is not a plain decimal number", False),
        "nan": ((200, '{"price": NaN}'), "not JSON", False),
        "nan-text": ((200, {"price": "NaN"}), "'NaN' is not a plain decimal number", False),
        "strange": ((200, {"price": "\u0007\nx" + "\u20ac" * 30}), "is not a plain decimal number", False),
        "negative": ((200, {"price": -1}), "negative", False),
        "renamed": ((200, {"cost": 1}), "no 'price' in the answer", False),
        "absurd": ((200, {"price": 1e30}), "too large: is its unit right?", False),
        "future": ((200, {"price": 0.08, "time": stamp(7200)}), "dated in the future", False),
        "large": (Sources.large, "larger than 1 MiB", False),
        "hang": ("hang", "no whole answer within 1000 ms", True),
        "busy": ((503, "later"), "HTTP 503", True),
        "moved": ((301, "", {"Location": "http://127.0.0.1:1/"}), "redirects are not followed", True),
        "key": (None, "chmod 600", True),
    }

    @classmethod
    def describe(cls):
        cls.key = cls.write("key", "abc\n")
        text = ""
        for name in cls.cases:
            cls.sources.answers["/" + name] = (200, {"price": "0.07", "time": stamp()})
            role, unit = ("lease_ref", "usd_per_gpu_hour") if name == "negative" else ("power", "usd_per_kwh")
            more = "\n    time_path: time" if name == "future" else ""
            if name == "key":
                more = f"\n    key_file: {cls.key}\n    key_header: X-Key"
            text += f"""  - id: {name}
    description: {READY}/generic-json.yaml
    role: {role}
    unit: {unit}
    url: {cls.sources.url}/{name}
    interval: 1s
    timeout: 1s{more}
"""
        cls.unsafe = cls.expired()
        return text + f"""  - id: expired
    description: {READY}/generic-json.yaml
    url: {cls.unsafe.url}/price.json
    ca_file: {os.path.join(cls.out, 'cert.pem')}
    interval: 1s
"""

    @classmethod
    def expired(cls):
        """A server whose certificate ended yesterday."""
        def openssl(*args):
            subprocess.run(("openssl", *args), cwd=cls.out, check=True, capture_output=True)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "cert.key", "-out", "cert.csr",
                "-subj", "/CN=127.0.0.1")
        openssl("x509", "-req", "-in", "cert.csr", "-signkey", "cert.key", "-days", "-1", "-out", "cert.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(cls.out, "cert.pem"), os.path.join(cls.out, "cert.key"))
        return Sources(context)

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "unsafe"):
            cls.unsafe.close()
        super().tearDownClass()

    def test_each_bad_answer_has_its_reason_and_loses_nothing(self):
        for name in self.cases:
            self.wait_feed(name, lambda f: f["value"] == "0.07" and not f["trouble"])
        for name, (bad, _, _) in self.cases.items():
            self.sources.answers["/" + name] = self.sources.hang if bad == "hang" else bad
        os.chmod(self.key, 0o644)
        for name, (_, said, in_force) in self.cases.items():
            with self.subTest(bad=name):
                feed = self.wait_feed(name, lambda f: said in (f["trouble"] or ""))
                self.assertEqual(feed["value"], "0.07", "the last good price is shown on")
                self.assertEqual(feed["stale"], not in_force, feed)
        os.chmod(self.key, 0o600)
        self.sources.released.set()
        for name in self.cases:
            self.sources.answers["/" + name] = (200, {"price": "0.09", "time": stamp()})
        for name in self.cases:
            with self.subTest(good_again=name):
                feed = self.wait_feed(name, lambda f: f["value"] == "0.09" and not f["trouble"], 20)
                self.assertFalse(feed["stale"])
        with open(self.site.path("logs", "broker.log")) as f:
            log = f.read()
        for name, (_, said, _) in self.cases.items():
            self.assertIn(f"feed={name}:", log)

    def test_an_expired_certificate(self):
        self.wait_feed("expired", lambda f: "expired" in (f["trouble"] or ""))
        self.assertNotIn("/price.json", self.unsafe.asked)


class Refused(unittest.TestCase):
    """What can be seen before the start is said before the start."""

    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="sluice-e2e-")
        cls.site = FeedSite(BUILD, cls.out, MODELS)
        cls.site.prepare()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.out, ignore_errors=True)

    def check(self, feeds):
        self.site.feeds = feeds
        self.site.write_broker_config()
        return subprocess.run([self.site.binary("sluice-broker"), "--config", self.site.path("broker.yaml"),
                               "--check-config"], capture_output=True, text=True)

    def test_what_does_not_fit_is_refused_with_what_would(self):
        key = os.path.join(self.out, "luxor.key")
        item = f"  - id: x\n    description: {READY}/luxor.yaml\n    key_file: {key}\n"
        done = self.check(item)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"feed x: cannot read the key in {key}: No such file", done.stderr)
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("abc\n")
        for keys, said in (("unit: usd_per_kwh", "does not fit its role"),
                           ("unit: usd_per_parsec", "for this role: usd_per_ph_day"),
                           ("unit: eur_per_ph_day", "unit usd_per_eur is needed"),
                           ("value_path: 'data[0'", "is no path"),
                           ("url: http://example.org", "https:// only"),
                           ("pick: best", "only|first|last")):
            with self.subTest(keys=keys):
                done = self.check(item + f"    {keys}\n")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)
        self.assertEqual(self.check(item).returncode, 0)

    def test_what_is_printed_says_the_same(self):
        self.assertEqual(self.check(f"  - id: x\n    description: {READY}/mempool.yaml\n").returncode, 0)
        def printed(path):
            return subprocess.run([self.site.binary("sluice-broker"), "--config", path, "--print-config"],
                                  capture_output=True, text=True, check=True).stdout
        first = printed(self.site.path("broker.yaml"))
        with open(self.site.path("again.yaml"), "w") as f:
            f.write(first)
        self.assertEqual(printed(self.site.path("again.yaml")), first)
        self.assertIn("reward-stats/144", first)


class Quiet(FeedCase):
    @classmethod
    def describe(cls):
        cls.sources.answers["/ahead"] = (200, {"price": 0.06, "time": stamp(40)})
        cls.sources.answers["/same"] = (200, {"price": 0.07}, {"ETag": '"v1"'})
        return f"""  - id: same
    description: {READY}/generic-json.yaml
    url: {cls.sources.url}/same
    interval: 1s
  - id: ahead
    description: {READY}/generic-json.yaml
    url: {cls.sources.url}/ahead
    time_path: time
  - id: no-offset
    role: power
    unit: usd_per_mwh
    path: {cls.write('summer.csv', 'timestamp,price' + chr(10) + '2025-11-02 01:00:00,20' + chr(10))}
    column: price
"""

    def test_a_sources_clock_may_be_a_little_ahead(self):
        feed = self.wait_feed("ahead", lambda f: f["value"] == "0.06")
        self.assertGreaterEqual(feed["age_ms"], 0)
        self.assertIsNone(feed["trouble"])

    def test_a_local_time_without_offset(self):
        self.wait_feed("no-offset", lambda f: "local time needs its offset" in (f["trouble"] or ""))

    def test_what_is_unchanged_is_young_again(self):
        self.wait_feed("same", lambda f: f["value"] == "0.07")
        self.assertTrue(self.site.wait_for(lambda: self.sources.unchanged >= 2, 10))
        feed = self.wait_feed("same", lambda f: f["age_ms"] < 1500)
        self.assertIsNone(feed["trouble"])
        self.sources.answers["/same"] = (200, {"price": 0.08}, {"ETag": '"v2"'})
        self.wait_feed("same", lambda f: f["value"] == "0.08")
        # Asked once a second, not more often.
        asked = self.sources.asked["/same"]
        time.sleep(2.2)
        self.assertLessEqual(self.sources.asked["/same"] - asked, 3)


if __name__ == "__main__":
    unittest.main()
