# SPDX-License-Identifier: Apache-2.0
"""Strangers who take every connection that the agents' port gives: operators are served, the agents that are there
stay, and others get in when the strangers have gone."""
import resource
import socket
import subprocess
import time

from support import SiteCase

DESCRIPTORS = 512  # of the broker
STRANGERS = 900


class TestCrowd(SiteCase):
    options = {"fake_devices": 2}

    def limited(self):
        site = self.site
        self.assertTrue(site.stop("broker"))
        with open(site.path("logs", "broker.log"), "a") as log:
            process = subprocess.Popen(
                site.commands()["broker"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))
        site.env["BROKER_PID"] = process.pid
        site.write_env()
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        site.wait_broker()

    def asked(self):
        """How long a new connection for HTTP waits for its answer."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.site.http_port), timeout=60) as asks:
            asks.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertIn(b" 200 ", asks.recv(4096))
        return time.monotonic() - began

    def session(self):
        return [n["state"] for n in self.site.api("GET", "/api/v1/nodes")["nodes"]]

    def crowded(self):
        return "link.crowded" in self.site.log_tail("broker", 200)

    def test_operators_are_served(self):
        site = self.site
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.limited()
        self.assertTrue(site.wait_for(lambda: self.session() == ["live"], 30))
        held = []
        self.addCleanup(lambda: [s.close() for s in held])
        waits = []
        refused = 0
        # A busy machine refuses before the broker is full: it has not come to accept the others yet.
        end = time.monotonic() + 60
        while len(held) < STRANGERS and time.monotonic() < end and (refused < 3 or not self.crowded()):
            try:
                held.append(socket.create_connection(("127.0.0.1", site.agents_port), timeout=0.5))
            except OSError:
                refused += 1
            if len(held) % 50 == 0:
                waits.append(self.asked())
        for _ in range(20):
            waits.append(self.asked())
            time.sleep(0.1)
        self.assertLess(max(waits), 2, [round(w, 2) for w in waits])
        self.assertGreater(refused, 0)
        self.assertTrue(self.crowded(), site.log_tail("broker", 20))
        self.assertEqual(self.session(), ["live"])
        for one in held:
            one.close()
        held.clear()
        self.assertTrue(site.wait_for(lambda: "there is room again" in site.log_tail("broker", 200), 40))
        site.stop("agent")
        site.start_agent()
