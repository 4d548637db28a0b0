# SPDX-License-Identifier: Apache-2.0
"""Running totals over rounds, kept in a file so that a long run can be cut and goes on."""
import json
import os

from fire_faults import BOUND_S


class Unusable(Exception):
    pass


class Totals:
    def __init__(self, seed, wanted):
        self.seed, self.wanted = seed, wanted
        self.rounds = 0
        self.kills_by = {}
        self.faults = {}
        self.back = {}
        self.sums = {}
        self.broken = []
        self.bad_rounds = 0
        self.missing = {}

    def kills(self):
        return sum(self.kills_by.values())

    def add(self, nemesis, told):
        self.rounds += 1
        for mine, new in ((self.kills_by, nemesis.kills), (self.faults, nemesis.faults), (self.sums, told.figures)):
            for key, value in new.items():
                mine[key] = mine.get(key, 0) + value
        for row, seconds in nemesis.back.items():
            self.back.setdefault(row, []).extend(round(s, 3) for s in seconds)
        self.broken += told.findings

    def figures(self):
        return {key: value for key, value in vars(self).items() if key != "wanted"}

    def save(self, path):
        if not path:
            return
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump({"sluice_fire": 1, **self.figures()}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(path + ".new", path)

    # ---- shown ----

    def running(self, nemesis, load):
        kills = {name: self.kills_by.get(name, 0) + count for name, count in nemesis.kills.items()}
        faults = {kind: self.faults.get(kind, 0) + nemesis.faults.get(kind, 0)
                  for kind in set(self.faults) | set(nemesis.faults)}
        late = sum(s > BOUND_S for row in nemesis.back.values() for s in row)
        return (f"round {self.rounds}: {sum(kills.values())} kills{f' of {self.wanted}' if self.wanted else ''} "
                f"{counts(kills)}; faults {counts(faults)}; this round: {load.lines_asked} lines acknowledged, "
                f"{late} times above {BOUND_S:.0f} s")

    def table(self):
        s = self.sums
        lines = [f"after {self.rounds} rounds: {self.kills()} kills ({counts(self.kills_by)}); "
                 f"faults: {counts(self.faults)}"]
        if s:
            lines += [
                f"  {s['submissions']} submissions, {s['acknowledged']} acknowledged, sent again {s['sent_again']} "
                f"times, {s['unknown']} never answered; {s['operations']} operations, {s['answers_lost']} answers lost, "
                f"{s['not_judged']} not judged for repeats",
                f"  {s['lines_acknowledged']} lines acknowledged, {s['lines_done']} done, {s['lines_lost']} lost, "
                f"{s['lines_billed']} billed, {s['lines_billed_twice']} billed twice",
                f"  shares: {s['shares_recorded']} recorded <= {s['shares_pool']} of the pool <= "
                f"{s['shares_recorded'] + s['shares_unknown']} recorded and unknown; {s['directives']} directives"]
        lines.append(f"  {'back at work after':<20} {'n':>5} {'p50 s':>7} {'p99 s':>7} {'max s':>7} {'> 5 s':>6}")
        for row, seconds in sorted(self.back.items()):
            seconds = sorted(seconds)
            lines.append(f"  {row:<20} {len(seconds):>5} {rank(seconds, .5):>7.2f} {rank(seconds, .99):>7.2f} "
                         f"{seconds[-1]:>7.2f} {sum(x > BOUND_S for x in seconds):>6}")
        for kind, why in sorted(self.missing.items()):
            lines.append(f"  skipped: {kind}: {why}")
        lines.append(f"  rules broken: {len(self.broken)}" + (f", in {self.bad_rounds} rounds" if self.broken else ""))
        return "\n".join(lines)


def rank(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def counts(by_name):
    return " ".join(f"{name} {count}" for name, count in sorted(by_name.items())) or "none"


def load(path, seed, wanted):
    """The totals of a file, or new ones."""
    totals = Totals(seed, wanted)
    if not path or not os.path.exists(path):
        return totals
    try:
        with open(path, encoding="utf-8") as f:
            held = json.load(f)
        if held.pop("sluice_fire") != 1:
            raise ValueError("another version")
        for key in totals.figures():
            setattr(totals, key, held[key])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise Unusable(f"{path} does not hold the totals of a run ({e}): give another file, or remove it") from None
    if totals.seed != seed:
        raise Unusable(f"{path} is of seed {totals.seed}, not {seed}: give --seed {totals.seed}, or another file")
    return totals
