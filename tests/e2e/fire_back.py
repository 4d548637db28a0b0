# SPDX-License-Identifier: Apache-2.0
"""Back at work: from the moment a fault is over (a process's exec, the end of a stop, of a cut) until devices
work again. What counts is what the restarted side shows, not what a screen still shows from before:

- agent, broker, network: the broker has a report that arrived after that moment, the session is live, and every
  device is in the mode that it is directed to and has done more work than in the first such report (a new
  agent counts from 0: any work is new work). Reports come every second, so up to a second of the time is
  theirs.
- pool: the pool has accepted a share after that moment."""
import json
import os
import time

from sluice_site import SiteError

EVERY_S = 0.08
WORK = ("hash", "infer")


class Watch:
    def __init__(self, site, since, new_agent):
        self.site, self.since, self.new_agent = site, since, new_agent
        self.first = {}
        self.done = set()
        self.last = "no answer of the broker"

    def look(self):
        """True once every device works."""
        asked = time.monotonic()
        try:
            nodes = self.site.api("GET", "/api/v1/nodes", timeout=2)["nodes"]
            devices = self.site.api("GET", "/api/v1/devices", timeout=2)["devices"]
        except (SiteError, OSError, ValueError, KeyError) as e:
            self.last = f"no answer of the broker: {e}"
            return False
        node = nodes[0] if nodes else {}
        age = node.get("report_age_ms")
        if node.get("state") != "live" or age is None or asked - age / 1000 <= self.since:
            self.last = f"session {node.get('state')}, last report {age} ms ago"
            return False
        for d in devices:
            work = (d["hashes_total"], d["tokens_total"], d["lines_total"])
            first = self.first.setdefault(d["key"], work)
            moved = work != first or self.new_agent and any(work)
            if moved and d["mode"] in WORK and d["mode"] == d["wanted"] and not d["trouble"] and not d["safe_mode"]:
                self.done.add(d["key"])
        self.last = json.dumps([{k: d[k] for k in ("key", "state", "mode", "wanted", "epoch", "trouble", "safe_mode",
                                                   "why", "hashes_total", "tokens_total")} for d in devices])
        return bool(devices) and len(self.done) == len(devices)


class PoolWatch:
    def __init__(self, site, since, offset):
        self.site, self.since, self.offset = site, since, offset
        self.last = "no share accepted"

    def look(self):
        with open(self.site.pool_log, "rb") as f:
            f.seek(self.offset)
            if b'"accepted"' in f.read():
                return True
        try:
            self.last = json.dumps({"pool": self.site.api("GET", "/api/v1/nodes", timeout=2)["nodes"][0]["pool"],
                                    "modes": [(d["mode"], d["why"]) for d in self.site.devices()]})
        except (SiteError, OSError, ValueError, KeyError, IndexError):
            pass
        return False


def pool_offset(site):
    return os.path.getsize(site.pool_log) if os.path.exists(site.pool_log) else 0


def measure(watches, since, limit_s=60.0):
    """Seconds from `since` until all watches are content, or None; and what was last seen."""
    waiting = list(watches)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        waiting = [watch for watch in waiting if not watch.look()]
        if not waiting:
            return time.monotonic() - since, ""
        time.sleep(EVERY_S)
    return None, "; ".join(watch.last for watch in waiting)
