# SPDX-License-Identifier: Apache-2.0
"""The checker of fire.py on made-up histories: a good one breaks no rule, and for each rule a bad one does."""
import copy
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import fire_check
import fire_evidence
import fire_totals
from fire_check import RULES, judge, nano
from fire_evidence import Evidence

HERE = os.path.dirname(os.path.abspath(__file__))
DEVICE = "node/pocl/0"
TEXTS = ["the first text", "the second text"]
VECTORS = [b"\0\0\x80?", b"\0\0\0@"]


def op(number, t, p, kind, f, value):
    return {"t": t, "p": p, "id": number, "type": kind, "f": f, "value": value}


def batch_row(name, key, state, **more):
    row = {"id": name, "tenant": "demo", "state": state, "lines_total": 2, "lines_completed": 2, "billed_nusd": 30,
           "output_file": "file-o" + name, "metadata": f'{{"fire": "{key}"}}', "completed_ms": None, "failed_ms": None,
           "expired_ms": None, "cancelled_ms": None}
    return {**row, state + "_ms": 1, **more}


def add_batch(e, name, key, unit, epoch):
    """Two lines at 1 USD/Mtok: 10 and 20 tokens, 10 and 20 micro-USD, done in one unit."""
    e.batches[name] = batch_row(name, key, "completed", billed_nusd=30000)
    e.units[unit] = {"unit_id": unit, "device": DEVICE, "epoch": epoch, "batch": name, "closed": 1, "lines": [0, 1],
                     "price_nusd_per_mtok": 10**9}
    e.directives[DEVICE, epoch] = {"mode": "infer", "batch": name}
    e.obeyed.append((DEVICE, epoch))
    for line, amount in ((0, 10000), (1, 20000)):
        tokens = amount // 1000
        e.results.append({"batch": name, "line": line, "unit_id": unit, "status": 1, "tokens": tokens,
                          "vectors": VECTORS[line], "amount_nusd": amount})
        e.transfers.append({"id": len(e.transfers) + 1, "kind": 1, "debit": "tenant:demo", "credit": "revenue:lease",
                            "amount_nusd": amount, "ref": f"{name}/{line}"})
    e.outputs["file-o" + name] = [(f"{key}/{line}", 10 * (line + 1), VECTORS[line]) for line in (0, 1)]


def submission(key, style="key", attempt=0):
    return {"key": key, "style": style, "attempt": attempt, "tenant": "demo", "texts": [0, 1], "bid": "1"}


def good():
    e = Evidence(texts=list(TEXTS), budgets={"demo": 10**9}, secrets=["sk-sluice-aa"])
    add_batch(e, "b0", "reference/1", 1, 1)
    add_batch(e, "b1", "submit-1/1", 2, 2)
    e.accounts = {"tenant:demo": (60000, 0), "revenue:lease": (0, 60000), "receivable:pool": (5, 0), "revenue:hash": (0, 5)}
    e.transfers.append({"id": 5, "kind": 2, "debit": "receivable:pool", "credit": "revenue:hash", "amount_nusd": 5,
                        "ref": "k/1"})
    e.shares, e.pool = {1: 3, 4: 1}, {"accepted": 4, "stale": 0, "rejected": 0}
    e.devices = {DEVICE: {"epoch_max": 3}}
    e.journal = {"epochs": {DEVICE: 2}, "results": 0, "shares": 0}
    e.logs = {"agent.log": "all is well"}
    device = {"key": DEVICE, "node": "node", "epoch": 2, "mode": "infer"}
    e.ops = [
        op(1, 1.0, "reference", "invoke", "submit", submission("reference/1")),
        op(1, 1.1, "reference", "ok", "submit", {"batch": "b0"}),
        op(2, 2.0, "submit-1", "invoke", "submit", submission("submit-1/1")),
        op(2, 2.1, "submit-1", "info", "submit", {"why": "connection reset"}),
        op(3, 3.0, "nemesis", "info", "kill", {"target": "broker"}),
        op(4, 4.0, "submit-1", "invoke", "submit", submission("submit-1/1", attempt=1)),
        op(4, 4.1, "submit-1", "ok", "submit", {"batch": "b1"}),
        op(5, 5.0, "watch-1", "invoke", "devices", {}),
        op(5, 5.1, "watch-1", "ok", "devices", [device]),
        op(6, 6.0, "read-1", "invoke", "read", {"batch": "b1"}),
        op(6, 6.1, "read-1", "ok", "read", {"batch": "b1", "status": "completed", "completed": 2, "failed": 0, "total": 2}),
        op(7, 7.0, "bid-1", "invoke", "bid", {"batch": "b1", "bid": "2"}),
        op(7, 7.1, "bid-1", "fail", "bid", {"code": "invalid_state", "status": 409}),
        op(8, 8.0, "nemesis", "info", "back", {"row": "kill broker", "seconds": 1, "bound": 5, "good": True, "seen": ""}),
        op(9, 9.0, "nemesis", "info", "calm", {"drained": True, "working": True}),
        op(10, 9.1, "final", "invoke", "spools", {}),
        op(10, 9.2, "final", "ok", "spools", [{"node": "node", "results_spooled": 0, "shares_spooled": 0}]),
        op(11, 9.3, "final", "invoke", "ledger", {}),
        op(11, 9.4, "final", "ok", "ledger", {"balanced": True, "replayed": 5, "difference": None}),
        op(12, 9.5, "nemesis", "info", "full", {"target": "agent", "ended": True, "code": 1, "told": True, "log": ""}),
        op(13, 9.6, "nemesis", "info", "stopped", {"hung": []}),
    ]
    return e


def answer(e, number):
    return next(o for o in e.ops if o["id"] == number and o["type"] in ("ok", "info"))["value"]


def again(e, number, t, **change):
    """The operation once more, with another answer."""
    for o in [o for o in e.ops if o["id"] == number]:
        more = copy.deepcopy(o)
        more["id"], more["t"] = 90, t
        if more["type"] == "ok":
            more["value"].update(change) if isinstance(more["value"], dict) else more["value"][0].update(change)
        e.ops.append(more)


def set_in(e, name, number, **change):
    row = next(r for r in getattr(e, name) if r[number[0]] == number[1])
    row.update(change)


# rule -> what breaks it
BAD = {
    "acknowledged_stays": [lambda e: e.batches.pop("b1"), lambda e: again(e, 4, 5, batch="b9")],
    "at_most_once": [lambda e: e.batches.update(b2=batch_row("b2", "submit-1/1", "cancelled")),
                     lambda e: e.batches.update(b2=batch_row("b2", "nobody/1", "cancelled"))],
    "one_end": [lambda e: e.batches["b1"].update(state="in_progress", completed_ms=None),
                lambda e: e.batches["b1"].update(cancelled_ms=1),
                lambda e: e.batches["b1"].update(state="cancelled", cancelled_ms=1, completed_ms=None),
                lambda e: e.batches["b1"].update(state="expired", expired_ms=1, completed_ms=None),
                lambda e: e.results.pop(), lambda e: e.ops[5]["value"]["texts"].append(0) or e.ops[2]["value"].update(texts=[0, 1, 0])],
    "right_answers": [lambda e: e.results[3].update(vectors=VECTORS[0]), lambda e: e.results[3].update(tokens=9),
                      lambda e: e.results.append(dict(e.results[3])), lambda e: e.results[3].update(status=2),
                      lambda e: e.results[3].update(line=7)],
    "texts_differ": [lambda e: e.results[1].update(vectors=VECTORS[0]), lambda e: e.texts.append("a third")],
    "right_files": [lambda e: e.outputs["file-ob1"].pop(), lambda e: e.outputs["file-ob1"].append(e.outputs["file-ob1"][0]),
                    lambda e: e.outputs["file-ob1"].__setitem__(0, ("submit-1/1/0", 10, VECTORS[1])),
                    lambda e: e.outputs.clear()],
    "billed_once": [lambda e: e.transfers.append({**e.transfers[3], "id": 6}), lambda e: e.transfers.pop(3),
                    lambda e: e.transfers[3].update(amount_nusd=1), lambda e: e.transfers[3].update(debit="tenant:poor"),
                    lambda e: e.transfers[3].update(ref="b1/9")],
    "right_prices": [lambda e: e.units[2].update(price_nusd_per_mtok=5), lambda e: e.results[3].update(amount_nusd=20001),
                     lambda e: e.batches["b1"].update(billed_nusd=1)],
    "books_balance": [lambda e: e.accounts.update({"tenant:demo": (60001, 0)}), lambda e: e.transfers[4].update(id=6),
                      lambda e: answer(e, 11).update(balanced=False), lambda e: e.accounts.update(x=(1, 1))],
    "shares_in_bounds": [lambda e: e.pool.update(accepted=5), lambda e: e.pool.update(accepted=2),
                         lambda e: e.pool.update(accepted=0),
                         lambda e: e.transfers.append({**e.transfers[4], "id": 6})],
    "epochs_rise": [lambda e: e.obeyed.append((DEVICE, 2)), lambda e: e.obeyed.append((DEVICE, 1)),
                    lambda e: again(e, 5, 6, epoch=1), lambda e: e.journal["epochs"].update({DEVICE: 1}),
                    lambda e: e.devices[DEVICE].update(epoch_max=1)],
    "one_owner": [lambda e: e.directives.pop((DEVICE, 2)), lambda e: e.directives[DEVICE, 2].update(batch="b0"),
                  lambda e: e.directives[DEVICE, 2].update(mode="hash"), lambda e: again(e, 5, 6, node="another"),
                  lambda e: e.units[2].update(closed=0), lambda e: e.units[2].update(lines=[0])],
    "within_budget": [lambda e: e.budgets.update(demo=59999)],
    "reads_agree": [lambda e: again(e, 6, 7, completed=1), lambda e: again(e, 6, 7, status="cancelled"),
                    lambda e: e.batches["b1"].update(state="cancelled")],
    "no_refusals": [lambda e: e.ops.append(op(90, 9, "read-1", "fail", "read", {"code": "not_found", "status": 404}))],
    "no_sudden_ends": [lambda e: e.ops.append(op(90, 9, "nemesis", "info", "exit",
                                                 {"target": "agent", "code": -11, "log": "", "expected": False})),
                       lambda e: answer(e, 12).update(code=-6), lambda e: answer(e, 12).update(told=False)],
    "back_in_time": [lambda e: answer(e, 8).update(good=False, seconds=7)],
    "calm_after": [lambda e: answer(e, 9).update(drained=False), lambda e: answer(e, 9).update(working=False),
                   lambda e: answer(e, 10)[0].update(results_spooled=1), lambda e: e.journal.update(shares=1),
                   lambda e: answer(e, 13).update(hung=["agent"])],
    "nothing_told": [lambda e: e.logs.update({"broker.log": "key sk-sluice-aa"}),
                     lambda e: e.logs.update({"broker.log": "saw the second text"})],
}


def rules_broken(e):
    return {finding.split(":")[0] for finding in judge(e).findings}


class Checker(unittest.TestCase):
    def test_a_good_history_breaks_no_rule(self):
        told = judge(good())
        self.assertEqual(told.findings, [])
        self.assertEqual([told.figures[k] for k in ("lines_acknowledged", "lines_done", "lines_lost", "sent_again",
                                                    "lines_billed", "lines_billed_twice")], [4, 4, 0, 1, 4, 0])

    def test_each_rule_can_fail(self):
        self.assertEqual(set(BAD), {rule.__name__ for rule in RULES})
        for rule, ways in BAD.items():
            for number, way in enumerate(ways):
                with self.subTest(rule=rule, way=number):
                    e = good()
                    way(e)
                    self.assertIn(rule, rules_broken(e))

    def test_lost_and_double_lines_are_counted(self):
        e = good()
        e.results.pop()
        e.transfers[3]["ref"] = "b1/0"
        told = judge(e).figures
        self.assertEqual((told["lines_lost"], told["lines_billed_twice"]), (1, 1))

    def test_repeats_across_a_step_of_the_clock_are_promised_for_keys_only(self):
        for style, broken in (("key", True), ("retry", False)):
            e = good()
            e.batches["b2"] = batch_row("b2", "submit-1/1", "cancelled")
            for o in e.ops:
                if o["f"] == "submit" and o["type"] == "invoke":
                    o["value"]["style"] = style
            e.ops.append(op(90, 3.5, "nemesis", "info", "step", {"target": "broker", "offset_s": 7200}))
            self.assertEqual("at_most_once" in rules_broken(e), broken, style)

    def test_an_interrupted_run_of_many_findings_is_short(self):
        e = good()
        for _ in range(50):
            e.transfers.append({**e.transfers[3], "id": len(e.transfers) + 1})
        self.assertIn("billed_once: and 45 more", judge(e).findings)

    def test_nano(self):
        self.assertEqual([nano(t) for t in ("1", "0.05", "0.000001", "1000")], [10**9, 5 * 10**7, 1000, 10**12])


class Reading(unittest.TestCase):
    def test_a_journal(self):
        def record(kind, space, key, value=b""):
            return struct.pack("<BBHI", kind, space, len(key), len(value)) + key + value

        def batch(number, *records):
            payload = b"".join(records)
            payload += bytes(-len(payload) % 64)
            return struct.pack("<IIQI", 0x4C534A42, len(payload), number, len(records)).ljust(64, b"\0") + payload
        data = bytes(64) + batch(1, record(1, 2, DEVICE.encode(), (7).to_bytes(8, "little")), record(1, 3, b"r", b"xx"),
                                 record(1, 4, b"s", b"y")) + batch(2, record(2, 3, b"r")) + bytes(512)
        with tempfile.NamedTemporaryFile() as f:
            f.write(data)
            f.flush()
            self.assertEqual(fire_evidence.read_journal(f.name), {"epochs": {DEVICE: 7}, "results": 0, "shares": 1})

    def test_a_pools_log_with_a_torn_end(self):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write('{"result":"accepted"}\n{"result":"stale"}\n{"resu')
            f.flush()
            self.assertEqual(fire_evidence.read_pool(f.name), {"accepted": 1, "stale": 1, "rejected": 0})


class Totals(unittest.TestCase):
    def test_a_run_goes_on_from_its_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state")
            totals = fire_totals.load(path, 5, 100)
            totals.add(type("N", (), {"kills": {"agent": 3, "pool": 1}, "faults": {"kill": 4},
                                      "back": {"kill agent": [1.5, 2.5]}}), fire_check.Told([], {"lines_done": 7}))
            totals.save(path)
            totals = fire_totals.load(path, 5, 100)
            self.assertEqual((totals.kills(), totals.rounds, totals.sums), (4, 1, {"lines_done": 7}))
            for seed, text in ((6, "--seed 5"), (5, "does not hold")):
                if seed == 5:
                    with open(path, "w") as f:
                        f.write("{}")
                with self.assertRaisesRegex(fire_totals.Unusable, text):
                    fire_totals.load(path, seed, 100)


class Command(unittest.TestCase):
    def test_bad_options_name_what_there_is(self):
        for options, said in ((["--faults", "kill,stpo"], "no fault 'stpo'; there are: kill, stop, cut, oneway, disk, clock"),
                              (["--kills", "0"], "at least 1"), (["--seed", "x"], "invalid int")):
            done = subprocess.run([sys.executable, os.path.join(HERE, "fire.py"), *options], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
