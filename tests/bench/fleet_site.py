# SPDX-License-Identifier: Apache-2.0
"""A real broker and a fleet of simulated agents (fleet.c) on this machine, for ingest, large and day."""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "demo"))
from sluice_site import Site, SiteError, free_port  # noqa: E402, F401


@contextlib.contextmanager
def on_core(core):
    """What is started inside runs on this core alone; None: anywhere."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Fleet:
    """One generator process and its agents."""

    def __init__(self, command, log):
        self.log = open(log, "a")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def count(self):
        self.order("count")
        line = self.process.stdout.readline()
        if not line:
            raise SiteError(f"the generator ended; see {self.log.name}")
        return json.loads(line)

    def stop(self):
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.order("quit")
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class FleetSite(Site):
    """options: those of Site, broker_core, fleet_core."""

    def __init__(self, build, out, **options):
        defaults = {"hash_factor": 1, "speed": 1, "loop": "false", "age_max": "400d", "log_level": "warn",
                    "power": "tariff: unknown"}
        super().__init__(build, out, options.pop("models", "build/models"), **{**defaults, **options})
        self.fleets = []

    def tool(self):
        return os.path.join(self.build, "tests", "bench", "fleet")

    def prepare_fleet(self, agents):
        self.prepare()
        self.run(self.tool(), "keys", str(agents), self.path("fleet.public"), self.path("fleet.keys"))
        with open(self.path("fleet.public")) as f, open(self.path("allowed-agents"), "a") as g:
            g.write(f.read())

    def broker_key(self, which):
        with open(self.path("broker.key")) as f:
            return re.search(rf"^{which} (\S+)$", f.read(), re.M).group(1)

    def start_pinned_broker(self):
        with on_core(self.options.get("broker_core")):
            self.start_broker()

    def start_fleet(self, agents, devices, report_ms, prefix="node", deaf=None):
        endpoint = deaf or f"tcp://127.0.0.1:{self.agents_port}"
        command = [self.tool(), "run", endpoint, self.broker_key("public"), self.path("fleet.keys"),
                   str(agents), str(devices), str(report_ms), prefix] + (["deaf"] if deaf else [])
        with on_core(self.options.get("fleet_core")):
            fleet = Fleet(command, self.path("logs", "fleet.log"))
        self.fleets.append(fleet)
        return fleet

    def stop_all(self):
        for fleet in self.fleets:
            fleet.stop()
        super().stop_all()

    def metric(self, name):
        for line in self.raw("GET", "/metrics").decode().splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
        raise SiteError(f"no metric {name}")

    def memory(self, name="broker"):
        """Resident memory in bytes, and how many file descriptors are open; those of the store's files, of which
        each worker opens some when it first needs them, are left out."""
        pid = self.pid(name)
        rss = resident(pid)
        count = 0
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):  # it was closed meanwhile
                count += not os.readlink(f"/proc/{pid}/fd/{fd}").startswith(self.store)
        return rss, count


def resident(pid):
    """Bytes."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s*(\d+) kB", f.read()).group(1)) * 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))]


def until(condition, timeout_s, what, every_s=0.05):
    """Seconds until the condition holds."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise SiteError(f"{what}: not within {timeout_s} s")
        time.sleep(every_s)
    return time.monotonic() - start
