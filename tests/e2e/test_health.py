# SPDX-License-Identifier: Apache-2.0
"""Sensors and health as operators see them: an agent whose scripted devices look like GPUs, with a library of our
own that speaks NVML's binary interface (tests/unit/agent/telemetry/fake_nvml.c) and says what the test writes."""
import os
import time
import unittest

from support import BUILD, SiteCase

LIBRARY = os.path.join(BUILD, "tests", "unit", "libfake_nvml.so")
UUIDS = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
BUSES = ["0000:01:00.0", "0000:41:00.0"]


def gpu_name(uuid):
    return "GPU-" + "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))


class Health(SiteCase):
    options = {"fake_devices": 2, "fake_gpus": ",".join(f"{b}/{u}" for b, u in zip(BUSES, UUIDS)),
               "hash_factor": 1000000000, "power": "tariff: fixed\n  price: 0.10",
               "agent_extra": f"telemetry:\n  nvml: {LIBRARY}\n  interval: 100ms\n  stale: 1s\ncanary: 1s\n"}

    @classmethod
    def prepared(cls):
        cls.said = cls.site.path("nvml.txt")
        cls.say()
        os.environ["SLUICE_FAKE_NVML"] = cls.said

    @classmethod
    def tearDownClass(cls):
        os.environ.pop("SLUICE_FAKE_NVML", None)
        super().tearDownClass()

    @classmethod
    def say(cls, first="watts_mw=250000", extra="", bus=BUSES[0], second="watts_mw=111000"):
        """What the library says from now on, in one step."""
        lines = [f"gpu pci={bus} uuid={gpu_name(UUIDS[0])} limit_mw=300000 temp=64 reasons=0 {first}",
                 f"gpu pci={BUSES[1]} uuid={gpu_name(UUIDS[1])} {second} temp=41 reasons=0"]
        with open(cls.said + ".new", "w") as f:
            f.write("\n".join(lines) + "\n" + extra)
        os.replace(cls.said + ".new", cls.said)

    def setUp(self):
        self.say()
        self.wait(lambda: self.device()["telemetry"]["power_mw"] == 250000)
        self.clear()

    def device(self, which=0):
        return next(d for d in self.site.devices() if (d["uuid"] or "") == UUIDS[which] and d["state"] != "lost")

    def wait(self, condition, timeout_s=15):
        def holds():
            try:
                return condition()
            except StopIteration:  # the device is not there just now
                return False
        if not self.site.wait_for(holds, timeout_s, 0.05):
            shown = ("key", "state", "mode", "why", "health", "health_reason", "watts", "telemetry")
            self.fail([{key: d[key] for key in shown} for d in self.site.devices()])

    def events(self):
        return self.query("SELECT kind, severity, device, text FROM events ORDER BY id")

    def clear(self):
        if self.device()["health"] != "ok":
            self.sluice("health", "clear", BUSES[0])
        self.wait(lambda: self.device()["health"] == "ok" and self.device()["mode"] == "hash")

    def test_sensors_are_shown_by_place_not_by_index(self):
        self.wait(lambda: self.device()["watts"]["hash"]["source"] == "measured")
        first, second = self.device(0), self.device(1)
        self.assertEqual((first["pci"], first["telemetry"]["source"]), (BUSES[0], "nvml"))
        self.assertEqual(second["telemetry"]["power_mw"], 111000)
        self.assertEqual(first["telemetry"]["temperature_mc"], 64000)
        self.assertIsNone(first["telemetry"]["fan_rpm"])
        self.assertEqual(first["telemetry"]["throttled_by"], [])
        shown = self.sluice("devices")
        self.assertIn("250 W", shown)
        self.assertIn("64 C", shown)
        metrics = self.site.raw("GET", "/metrics").decode()
        self.assertIn(f'sluice_device_power_watts{{device="{first["key"]}"}} 250.000', metrics)
        self.assertIn('sluice_device_temperature_celsius{device="%s",sensor="core"} 64.000' % first["key"], metrics)
        self.assertNotIn('sensor="memory"', metrics)  # unknown is absent

    def test_absurd_watts_are_unknown_and_posted_to_nobody(self):
        for absurd in ("-1", "0", "1000000000"):
            self.say(f"watts_mw={absurd}")
            self.wait(lambda: self.device()["telemetry"]["power_mw"] is None)
            self.wait(lambda: self.device()["watts"]["hash"]["source"] == "unknown")
            self.assertGreater(self.device()["telemetry"]["readings_refused"], 0)
        # No cost can be larger than 2 kW a device for the time of this test at 0.10 USD/kWh.
        posted = self.query("SELECT coalesce(sum(amount_nusd), 0) FROM transfers WHERE kind = 3")[0][0]
        self.assertLess(posted, 2 * 2 * 0.10 / 3600 * 600 * 1e9)

    def test_a_call_that_hangs_costs_its_own_gpu(self):
        self.say(extra=f"hangs pci={BUSES[0]}\n", second="watts_mw=112000")
        self.wait(lambda: self.device()["telemetry"]["power_mw"] is None
                  and self.device(1)["telemetry"]["power_mw"] == 112000)
        self.assertRegex(self.device()["telemetry"]["note"], r"has not answered for \d+ s$")
        self.say()
        self.wait(lambda: [self.device(i)["telemetry"]["power_mw"] for i in (0, 1)] == [250000, 111000])

    def test_a_library_that_hangs_costs_the_figures_and_nothing_else(self):
        self.say(extra="hang 1\n")
        self.wait(lambda: self.device()["telemetry"]["power_mw"] is None)
        self.assertRegex(self.device()["telemetry"]["note"], "not answered for .*; no GPU can be read$")
        before = self.device()["hashes_total"]
        self.wait(lambda: self.device()["hashes_total"] > before)  # the agent lives and works
        self.assertEqual(self.device()["health"], "ok")
        self.say()
        self.wait(lambda: self.device()["telemetry"]["power_mw"] == 250000)

    def test_a_gpu_off_its_bus_is_quarantined_until_cleared(self):
        number = 1000 + int(time.monotonic())
        # The work of each channel goes with it: what follows must not hide it.
        self.say(extra=f"event {number} 0 8 79\n" + "".join(f"event {number + i} 0 8 45\n" for i in range(1, 13)))
        self.wait(lambda: self.device()["health"] == "quarantine" and self.device()["mode"] == "idle")
        device = self.device()
        self.assertEqual((device["health_cause"], device["health_xid"], device["rule"]), ("xids", 79, "faulty"))
        self.assertEqual(self.device(1)["health"], "ok")
        shown = self.sluice("health")
        self.assertIn("fallen off its bus", shown)
        self.assertIn("sluice health clear", shown)
        shown = self.sluice("explain", BUSES[0])
        for line in (f"Place:   {BUSES[0]}", "Sensors: nvml", "Way back: repair or reset it"):
            self.assertIn(line, shown)
        self.assertIn(("health.quarantine", 3, device["key"]), [row[:3] for row in self.events()])
        # Re-tests pass, and it stays where it is; so it does after a restart of the broker.
        passed = device["telemetry"]["canary_passed"]
        self.wait(lambda: self.device()["telemetry"]["canary_passed"] > passed + 3)
        self.assertTrue(self.site.stop("broker"))
        self.site.start_broker()
        self.wait(lambda: self.device()["state"] == "idle" and self.device()["health"] == "quarantine", 30)
        self.sluice("health", "clear", device["key"])
        self.wait(lambda: self.device()["mode"] == "hash" and self.device()["health"] == "ok")
        self.assertIn("trusted", self.sluice("health"))
        self.assertIn("clear", [row[0] for row in self.query("SELECT action FROM audit")])

    def test_a_memory_error_drains_until_tests_have_passed(self):
        self.say("watts_mw=250000 ecc=0")
        self.wait(lambda: self.device()["telemetry"]["ecc_uncorrected"] == 0)
        self.say("watts_mw=250000 ecc=1")
        self.wait(lambda: self.device()["health"] == "drain" and self.device()["mode"] == "idle")
        self.wait(lambda: self.device()["health"] == "ok" and self.device()["mode"] == "hash", 40)
        self.assertIn("health.ok", [row[0] for row in self.events()])

    def test_zz_lost_and_back_on_another_bus(self):
        """Last by name: the site has one device more after it."""
        old = self.device()["key"]
        self.say("rc=15")
        self.wait(lambda: self.device()["health"] == "quarantine" and self.device()["telemetry"]["lost"] == 1)
        self.assertIn("still holds", self.sluice("health", "clear", old, code=1))
        self.assertIn("still holds", self.sluice("resume", old))
        self.assertTrue(self.site.stop("agent"))
        self.say(bus="0000:81:00.0")
        self.site.options["fake_gpus"] = f"0000:81:00.0/{UUIDS[0]},{BUSES[1]}/{UUIDS[1]}"
        self.site.write_scripts()
        self.site.start("agent")
        self.wait(lambda: any(d["pci"] == "0000:81:00.0" and d["state"] == "idle" for d in self.site.devices()), 30)
        self.wait(lambda: self.device()["mode"] == "idle", 30)  # it may hash until it hears of its state
        moved = self.device()
        self.assertEqual((moved["pci"], moved["health"], moved["mode"]), ("0000:81:00.0", "quarantine", "idle"))
        self.assertEqual(next(d["state"] for d in self.site.devices() if d["key"] == old), "lost")
        self.assertTrue(any(kind == "device.moved" and old in text for kind, _, _, text in self.events()))
        self.assertEqual(moved["telemetry"]["power_mw"], 250000)
        self.sluice("health", "clear", "0000:81")
        self.wait(lambda: self.device()["mode"] == "hash")

    def test_wrong_use_of_the_verb(self):
        self.assertIn("not known", self.sluice("health", "cure", code=2))
        self.assertIn("name the device", self.sluice("health", "clear", code=2))
        self.sluice("health", "clear", "nobody", code=1)


if __name__ == "__main__":
    unittest.main()
