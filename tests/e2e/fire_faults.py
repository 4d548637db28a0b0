# SPDX-License-Identifier: Apache-2.0
"""The faults, drawn from a seeded generator, and what each leaves to be watched."""
import signal
import time

from fire_back import PoolWatch, Watch, measure, pool_offset
from sluice_site import alive

KINDS = ("kill", "stop", "cut", "oneway", "disk", "clock")
# How often each is drawn after all were once: kills are what is counted.
WEIGHTS = {"kill": 12, "stop": 2, "cut": 1, "oneway": 1, "disk": 1, "clock": 2}
TARGETS = {"kill": ("broker", "agent", "pool"), "stop": ("broker", "agent", "pool"), "cut": ("cable",),
           "oneway": ("broker", "agent"), "disk": ("broker", "agent"), "clock": ("broker", "agent")}
BOUND_S = 5.0        # back at work after a restart
HEALED_BOUND_S = 10.0  # after a stop or a cut, where TCP's own pauses (as long as the cut was) come on top
TTL_S = 2.0
HOURS_NS = 3600 * 10**9
FULL = ("full", "No space")


class Nemesis:
    def __init__(self, site, load, history, rng, kinds, patience=1):
        self.site, self.load, self.history, self.rng = site, load, history, rng
        self.patience = patience
        self.kinds = [kind for kind in kinds if kind not in site.missing]
        self.kills = {name: 0 for name in TARGETS["kill"]}
        self.faults = {}
        self.back = {}  # row of the table -> seconds
        self.late = []

    # ---- drawing ----

    def plan(self, each_target):
        """One of each kind (of each target too where that matters most, or with each_target), in any order."""
        plan = []
        for kind in self.kinds:
            every = each_target or kind in ("kill", "disk")
            plan += [(kind, target) for target in (TARGETS[kind] if every else [self.rng.choice(TARGETS[kind])])]
        self.rng.shuffle(plan)
        return plan

    def draw(self):
        kind = self.rng.choices(self.kinds, [WEIGHTS[kind] for kind in self.kinds])[0]
        return kind, self.rng.choice(TARGETS[kind])

    # ---- one scene: a fault, now and then a second one on top, and the way back ----

    def scene(self, kind, target, overlap):
        second = None
        if overlap:
            second = self.rng.choice([t for t in TARGETS["kill"] if t != target])
        touched = {target, second} - {None}
        if "pool" in touched:
            self.load.quiet.set()
        # Some faults last: a second one comes in their middle. Others are over at once: it follows.
        self.meanwhile = (lambda: self.kill(second)) if second else None
        self.restarted = set()
        try:
            self.run(kind, target)
            if self.meanwhile:
                time.sleep(self.rng.uniform(0, 0.5))
                self.between()
            self.come_back(kind, target, second, touched)
        finally:
            self.load.quiet.clear()

    def run(self, kind, target):
        self.faults[kind] = self.faults.get(kind, 0) + 1
        self.history.event("fault", {"kind": kind, "target": target, "phase": "start"})
        getattr(self, kind)(target)
        self.over = time.monotonic()
        self.history.event("fault", {"kind": kind, "target": target, "phase": "end"})

    def between(self):
        if self.meanwhile:
            second, self.meanwhile = self.meanwhile, None
            second()
            self.over = time.monotonic()

    def come_back(self, kind, target, second, touched):
        # From the exec of what was started last, or the end of what ended last.
        since = max([self.site.started[name] for name in self.restarted]
                    + ([self.over] if kind not in ("kill", "disk") or not self.restarted else []))
        watches = []
        if touched - {"pool"}:
            watches.append(Watch(self.site, since, "agent" in self.restarted))
        if "pool" in touched:
            watches.append(PoolWatch(self.site, since, pool_offset(self.site)))
        seconds, seen = measure(watches, since)
        restart_only = kind in ("kill", "disk") and self.restarted
        bound = self.patience * (BOUND_S if restart_only else HEALED_BOUND_S)
        row = "two at a time" if second else f"{kind} {target}"
        good = seconds is not None and seconds <= bound
        self.back.setdefault(row, []).append(seconds if seconds is not None else float("inf"))
        value = {"row": row, "kind": kind, "target": target, "second": second, "seconds": seconds and round(seconds, 3),
                 "bound": bound, "good": good, "seen": seen}
        if not good:
            self.late.append(value)
        self.history.event("back", value)

    def check_ends(self):
        for end in self.site.unexpected_ends():
            self.history.event("exit", {**end, "expected": False})
            self.site.start(end["target"])

    # ---- the faults themselves ----

    def restart(self, name):
        self.site.start(name)
        self.restarted.add(name)

    def kill(self, target):
        self.history.event("kill", {"target": target})
        self.site.kill(target, signal.SIGKILL)
        self.kills[target] += 1
        time.sleep(self.rng.choice((0, 0, 0.05, 0.3, 1.0, 3.0)))
        self.restart(target)

    def last(self, low_s, high_s):
        span = self.rng.uniform(low_s, high_s)
        if self.meanwhile:
            time.sleep(span / 2)
            self.between()
            span /= 2
        time.sleep(span)

    def stop(self, target):
        pid = self.site.pid(target)
        self.site.kill(target, signal.SIGSTOP)
        self.last(TTL_S + 0.5, TTL_S + 3)
        if alive(pid):
            self.site.kill(target, signal.SIGCONT)

    def cut(self, target):
        self.site.cable("down")
        try:
            self.last(*self.rng.choice(((0.3, 1.5), (TTL_S + 0.5, TTL_S + 4))))
        finally:
            self.site.cable("up")

    def oneway(self, target):
        self.site.deaf(target, True)
        try:
            self.last(*self.rng.choice(((0.3, 1.5), (TTL_S + 0.5, TTL_S + 4))))
        finally:
            self.site.deaf(target, False)

    def clock(self, target):
        offset = self.site.steps_ns[target] + int(self.rng.choice((-1, 1)) * self.rng.choice(
            (self.rng.uniform(2, 60), self.rng.uniform(300, 7200))) * 1e9)
        offset = max(-6 * HOURS_NS, min(6 * HOURS_NS, offset))
        self.site.step_clock(target, offset)
        self.history.event("step", {"target": target, "offset_s": offset / 1e9})

    def disk(self, target):
        """A full disk ends the process with its reason; on a disk that is still full it starts and works, or
        ends with the reason again."""
        site = self.site
        site.expected.add(target)
        site.fill_disk(target)
        ended = site.wait_for(lambda: not alive(site.pid(target)), 20 if target == "broker" else 6, 0.05)
        if not ended and target == "agent":
            # Its journal has room that was written ahead. A start on a full disk has not.
            self.history.event("kill", {"target": target})
            site.kill(target, signal.SIGKILL)
            self.kills[target] += 1
            self.restart(target)
            site.expected.add(target)
            ended = site.wait_for(lambda: not alive(site.pid(target)), 6, 0.05)
        if ended:
            self.told(target)
        site.free_disk(target)
        if not ended:
            self.history.event("full", {"target": target, "ended": False})
            if target == "broker":
                self.history.event("kill", {"target": target})
                site.kill(target, signal.SIGKILL)
                self.kills[target] += 1
        if not alive(site.pid(target)):
            self.restart(target)
        site.expected.discard(target)

    def told(self, target):
        process = self.site.processes[target]
        code = process.wait()
        log = self.site.log_tail(target, 30)
        self.history.event("full", {"target": target, "ended": True, "code": code,
                                    "told": any(word in log for word in FULL), "log": log[-400:]})
