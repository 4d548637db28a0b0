#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges a history when everything has stopped. Each rule is a function with the rule in words, and gives what
breaks it. test_fire_check.py shows that each can fail.

    tests/e2e/fire_check.py FOLDER      a folder that fire.py kept"""
import json
import os
import sys
from collections import Counter, defaultdict

from fire_evidence import gather

OK_LINE = 1
LINE, SHARE = 1, 2
ACCEPTED, UNKNOWN = 1, 4
ENDS = {"completed": "completed_ms", "failed": "failed_ms", "expired": "expired_ms", "cancelled": "cancelled_ms"}
TWIN_S = 900  # docs/api.md: repeats that an SDK marks are matched for 15 minutes of the broker's clock


class Told:
    def __init__(self, findings, figures):
        self.findings, self.figures = findings, figures


class View:
    """The evidence, and what several rules need of it."""

    def __init__(self, e):
        self.e = e
        self.asked = {}      # key of a submission -> what was asked, when, and the batches that were named
        self.named = {}      # batch -> key, as the client was told
        self.bids = defaultdict(set)
        self.cancels = set()
        started = {}
        for op in e.ops:
            if op["type"] == "invoke":
                started[op["id"]] = op
                self.note_invoke(op)
            elif op["id"] in started:
                self.note_end(started[op["id"]], op)
        self.key_of = {}     # batch in the store -> key
        for batch, row in e.batches.items():
            self.key_of[batch] = json.loads(row["metadata"] or "{}").get("fire")
        self.results = defaultdict(dict)
        for row in e.results:
            self.results[row["batch"]].setdefault(row["line"], row)
        self.reference = self.find_reference()

    def note_invoke(self, op):
        value = op["value"]
        if op["f"] == "submit":
            asked = self.asked.setdefault(value["key"], {**value, "batches": set(), "first": op["t"], "acked": False})
            asked["last"], asked["attempt"] = op["t"], value["attempt"]
        elif op["f"] == "bid":
            self.bids[value["batch"]].add(value["bid"])
        elif op["f"] == "cancel":
            self.cancels.add(value["batch"])

    def note_end(self, start, op):
        if start["f"] == "submit" and op["type"] == "ok":
            asked = self.asked[start["value"]["key"]]
            asked["acked"] = True
            asked["batches"].add(op["value"]["batch"])
            self.named[op["value"]["batch"]] = start["value"]["key"]

    def find_reference(self):
        for batch, key in self.key_of.items():
            if key == "reference/1":
                texts = self.asked[key]["texts"]
                return {texts[line]: row for line, row in self.results[batch].items() if line < len(texts)}
        return {}

    def events(self, f):
        return [op["value"] for op in self.e.ops if op["f"] == f and op["p"] == "nemesis"]

    def answers(self, f):
        """(invoked, ended) of every operation f that was answered ok."""
        started = {op["id"]: op for op in self.e.ops if op["type"] == "invoke" and op["f"] == f}
        return [(started[op["id"]], op) for op in self.e.ops if op["type"] == "ok" and op["id"] in started]


def nano(decimal_usd):
    whole, _, part = decimal_usd.partition(".")
    return int(whole) * 10**9 + int(part.ljust(9, "0")[:9] or 0)


# ---- the rules ----

def acknowledged_stays(v):
    """A submission that was acknowledged is in the store, under the one id that was ever named for it."""
    for key, asked in v.asked.items():
        if len(asked["batches"]) > 1:
            yield f"{key}: acknowledged as {sorted(asked['batches'])}"
        for batch in asked["batches"]:
            if v.key_of.get(batch) != key:
                yield f"{key}: acknowledged as {batch}, which the store does not hold for it"


def at_most_once(v):
    """A submission, however often it was sent, is at most one batch; no batch comes from nowhere. Repeats that
    only x-stainless-retry-count marks are matched by the broker's wall clock: not judged across a step of it."""
    held = Counter(v.key_of.values())
    for key, count in held.items():
        if key not in v.asked:
            yield f"{count} batches of the key {key!r}, which nobody submitted"
        elif count > 1 and not outside_promise(v, v.asked[key]):
            yield f"{key}: sent {v.asked[key]['attempt'] + 1} times, became {count} batches"


def outside_promise(v, asked):
    stepped = any(op["f"] == "step" and op["value"]["target"] == "broker" and asked["first"] <= op["t"] <= asked["last"]
                  for op in v.e.ops)
    return asked["style"] == "retry" and (stepped or asked["last"] - asked["first"] > TWIN_S)


def one_end(v):
    """Every batch reaches exactly one end: completed with every line, or cancelled if somebody asked for that."""
    for batch, row in v.e.batches.items():
        key, done = v.key_of[batch], sum(r["status"] == OK_LINE for r in v.results[batch].values())
        ends = [state for state, column in ENDS.items() if row[column]]
        if row["state"] not in ("completed", "cancelled") or ends != [row["state"]]:
            yield f"{batch} ({key}): state {row['state']}, ends {ends}"
        elif row["state"] == "cancelled" and batch not in v.cancels:
            yield f"{batch} ({key}): cancelled, and nobody asked for it"
        elif row["state"] == "completed" and not row["lines_total"] == row["lines_completed"] == done:
            yield (f"{batch} ({key}): completed with {row['lines_completed']} of {row['lines_total']} lines, "
                   f"{done} results")
        elif key in v.asked and row["state"] == "completed" and row["lines_total"] != len(v.asked[key]["texts"]):
            yield f"{batch} ({key}): {row['lines_total']} lines of {len(v.asked[key]['texts'])}"


def right_answers(v):
    """Every finished line has one result, and it is the one that its text has when nothing burns."""
    seen = Counter((r["batch"], r["line"]) for r in v.e.results)
    for (batch, line), count in seen.items():
        if count > 1:
            yield f"{batch}/{line}: {count} results"
    for r in v.e.results:
        asked = v.asked.get(v.key_of.get(r["batch"]))
        if asked is None or r["line"] >= len(asked["texts"]):
            yield f"{r['batch']}/{r['line']}: a result of a line that nobody submitted"
            continue
        want = v.reference.get(asked["texts"][r["line"]])
        if r["status"] != OK_LINE:
            yield f"{r['batch']}/{r['line']}: failed with status {r['status']}"
        elif want is None or r["vectors"] != want["vectors"] or r["tokens"] != want["tokens"]:
            yield f"{r['batch']}/{r['line']}: another vector or token count than its text has"


def texts_differ(v):
    """The reference holds a vector of every text and no two are the same, or a mix-up would not be seen."""
    vectors = [row["vectors"] for row in v.reference.values()]
    if len(vectors) != len(v.e.texts) or len(set(vectors)) != len(vectors):
        yield f"{len(set(vectors))} different vectors of {len(v.e.texts)} texts"


def right_files(v):
    """A batch's output file holds every finished line once, under its own id, with the vector of the store."""
    for batch, row in v.e.batches.items():
        done = {line: r for line, r in v.results[batch].items() if r["status"] == OK_LINE}
        lines = v.e.outputs.get(row["output_file"], [])
        want = {f"{v.key_of[batch]}/{line}": (r["tokens"], r["vectors"]) for line, r in done.items()}
        if len(lines) != len(want):
            yield f"{batch}: {len(lines)} lines in its file, {len(want)} results"
        for custom_id, tokens, vector in lines:
            if want.pop(custom_id, None) != (tokens, vector):
                yield f"{batch}: line {custom_id} of its file is not the store's, or is there twice"


def billed_once(v):
    """Every finished line is billed once, to its tenant, by the amount of its result; nothing else is billed."""
    owed = {f"{r['batch']}/{r['line']}": r for r in v.e.results if r["status"] == OK_LINE}
    for t in v.e.transfers:
        if t["kind"] != LINE:
            continue
        r = owed.pop(t["ref"], None)
        if r is None:
            yield f"{t['ref']}: billed twice, or without a result"
            continue
        tenant = v.e.batches.get(r["batch"], {}).get("tenant")
        if (t["debit"], t["credit"], t["amount_nusd"]) != (f"tenant:{tenant}", "revenue:lease", r["amount_nusd"]):
            yield f"{t['ref']}: {t['amount_nusd']} nUSD from {t['debit']}, the result says {r['amount_nusd']} of {tenant}"
    for ref in owed:
        yield f"{ref}: finished and not billed"


def right_prices(v):
    """A line costs its tokens at a price that its tenant bid; amounts lose no remainder."""
    for batch, lines in v.results.items():
        rows = [(r, v.e.units.get(r["unit_id"])) for r in lines.values() if r["status"] == OK_LINE]
        asked = v.asked.get(v.key_of.get(batch))
        if asked is None or any(unit is None for _, unit in rows):
            continue  # told by other rules
        bids = {nano(bid) for bid in v.bids[batch] | {asked["bid"]}}
        for r, unit in rows:
            if unit["price_nusd_per_mtok"] not in bids:
                yield f"{batch}/{r['line']}: at {unit['price_nusd_per_mtok']} nUSD/Mtok, which nobody bid"
        worth = sum(r["tokens"] * unit["price_nusd_per_mtok"] for r, unit in rows) // 10**6
        billed = sum(r["amount_nusd"] for r, _ in rows)
        if not worth == billed == v.e.batches[batch]["billed_nusd"]:
            yield f"{batch}: worth {worth} nUSD, billed {billed}, the batch says {v.e.batches[batch]['billed_nusd']}"


def books_balance(v):
    """Transfers replayed from the first give the accounts; their numbers have no gap; the broker agrees."""
    sums = defaultdict(lambda: [0, 0])
    for t in v.e.transfers:
        sums[t["debit"]][0] += t["amount_nusd"]
        sums[t["credit"]][1] += t["amount_nusd"]
    for account in set(sums) | set(v.e.accounts):
        if tuple(sums[account]) != v.e.accounts.get(account, (0, 0)):
            yield f"account {account}: {v.e.accounts.get(account)}, replayed {tuple(sums[account])}"
    if [t["id"] for t in v.e.transfers] != list(range(1, len(v.e.transfers) + 1)):
        yield "the numbers of the transfers have a gap"
    said = [end["value"] for _, end in v.answers("ledger")]
    if not said or said[-1]["balanced"] is not True:
        yield f"the broker's own check: {said[-1:]}"


def shares_in_bounds(v):
    """recorded accepted <= the pool's accepted <= recorded accepted + unknown; each was posted once."""
    accepted, unknown, pool = v.e.shares.get(ACCEPTED, 0), v.e.shares.get(UNKNOWN, 0), v.e.pool["accepted"]
    if not accepted <= pool <= accepted + unknown:
        yield f"accepted {accepted} <= pool {pool} <= accepted and unknown {accepted + unknown}"
    if pool == 0:
        yield "no share was ever accepted"
    refs = Counter(t["ref"] for t in v.e.transfers if t["kind"] == SHARE)
    if refs and max(refs.values()) > 1 or len(refs) > accepted:
        yield f"{len(refs)} shares posted, {accepted} accepted"


def epochs_rise(v):
    """Per device epochs only rise: in what the agent obeyed, across its restarts, and in what was seen from
    outside; what the agent holds as highest is what it obeyed, and the store knows it."""
    highest = {}
    for device, epoch in v.e.obeyed:
        if epoch <= highest.get(device, 0):
            yield f"{device}: obeyed epoch {epoch} after {highest[device]}"
        highest[device] = max(epoch, highest.get(device, 0))
    seen = {}
    for _, end in v.answers("devices"):
        for d in end["value"]:
            if d["epoch"] < seen.get(d["key"], 0):
                yield f"{d['key']}: seen at epoch {d['epoch']} after {seen[d['key']]}"
            seen[d["key"]] = max(d["epoch"], seen.get(d["key"], 0))
    for device, epoch in highest.items():
        kept = v.e.journal["epochs"].get(device, 0)
        known = v.e.devices.get(device, {}).get("epoch_max", 0)
        if not epoch <= kept <= known:
            yield f"{device}: obeyed {epoch}, its journal holds {kept}, the store {known}"


def one_owner(v):
    """A device belongs to one node, and an epoch of it is one directive: no work of another batch was given out
    under it, no agent obeyed one that is not in the store; a line's result comes from a unit that held it."""
    for device, epoch in v.e.obeyed:
        if (device, epoch) not in v.e.directives:
            yield f"{device}: obeyed epoch {epoch}, which the store does not hold"
    nodes = defaultdict(set)
    for _, end in v.answers("devices"):
        for d in end["value"]:
            nodes[d["key"]].add(d["node"])
    for device, owners in nodes.items():
        if len(owners) > 1:
            yield f"{device}: on {sorted(owners)}"
    for number, unit in v.e.units.items():
        directive = v.e.directives.get((unit["device"], unit["epoch"]))
        if directive is None or directive["mode"] != "infer" or directive["batch"] != unit["batch"]:
            yield f"unit {number} of {unit['batch']} on {unit['device']}, epoch {unit['epoch']}: directed {directive}"
        if not unit["closed"]:
            yield f"unit {number}: still open after the end"
    for r in v.e.results:
        unit = v.e.units.get(r["unit_id"])
        if unit is None or unit["batch"] != r["batch"] or r["line"] not in unit["lines"]:
            yield f"{r['batch']}/{r['line']}: its unit {r['unit_id']} does not hold it"


def within_budget(v):
    """No tenant runs up more than its budget."""
    for tenant, budget in v.e.budgets.items():
        debits, credits = v.e.accounts.get(f"tenant:{tenant}", (0, 0))
        if debits - credits > budget:
            yield f"{tenant}: {debits - credits} nUSD of {budget}"


def reads_agree(v):
    """What was read stays true: finished lines never get fewer, an end does not change, an acknowledged cancel
    or batch is not forgotten."""
    most, last = defaultdict(int), {}
    for _, end in v.answers("read"):
        told = end["value"]
        batch = told["batch"]
        if told["completed"] < most[batch]:
            yield f"{batch}: {told['completed']} lines finished after {most[batch]}"
        most[batch] = max(most[batch], told["completed"])
        if last.get(batch) in ENDS and told["status"] != last[batch]:
            yield f"{batch}: {told['status']} after {last[batch]}"
        last[batch] = told["status"]
    for batch, status in last.items():
        state = v.e.batches.get(batch, {}).get("state")
        if status in ENDS and state != status:
            yield f"{batch}: read as {status}, the store says {state}"


def no_refusals(v):
    """Nothing that was asked is refused: what is refused was lost, or was never wrong. A bid may come late."""
    for op in v.e.ops:
        if op["type"] == "fail" and not (op["f"] == "bid" and op["value"]["code"] == "invalid_state"):
            yield f"{op['f']} of {op['p']}: refused with {op['value']}"


def no_sudden_ends(v):
    """No program ends by itself, but for a full disk: then with 1 and the reason."""
    for end in v.events("exit"):
        yield f"{end['target']} ended with {end['code']}: {end['log'][-300:]}"
    for full in v.events("full"):
        if full["ended"] and (full["code"] != 1 or not full["told"]):
            yield f"{full['target']} on a full disk ended with {full['code']}: {full['log'][-300:]}"


def back_in_time(v):
    """Devices work again within the bound after each restart and fault."""
    for back in v.events("back"):
        if not back["good"]:
            yield f"{back['row']}: {back['seconds']} s of {back['bound']} s, last seen {back['seen'][:400]}"


def calm_after(v):
    """After the faults every batch ends, devices work, nothing waits to be told, programs stop when asked."""
    for calm in v.events("calm"):
        if not calm["drained"] or not calm["working"]:
            yield f"after the faults: {calm}"
    spools = [end["value"] for _, end in v.answers("spools")]
    if not spools or any(n["results_spooled"] or n["shares_spooled"] for n in spools[-1]):
        yield f"still to be told: {spools[-1:]}"
    if v.e.journal["results"] or v.e.journal["shares"]:
        yield f"left in the journal: {v.e.journal['results']} results, {v.e.journal['shares']} shares"
    for stopped in v.events("stopped"):
        if stopped["hung"]:
            yield f"did not stop when asked: {stopped['hung']}"


def nothing_told(v):
    """No log holds a key or a tenant's text."""
    for name, text in v.e.logs.items():
        for secret in v.e.secrets + v.e.texts:
            if secret in text:
                yield f"{name} holds {'a key' if secret in v.e.secrets else 'a text'}"


RULES = (acknowledged_stays, at_most_once, one_end, right_answers, texts_differ, right_files, billed_once, right_prices,
         books_balance, shares_in_bounds, epochs_rise, one_owner, within_budget, reads_agree, no_refusals,
         no_sudden_ends, back_in_time, calm_after, nothing_told)
SHOWN_MAX = 5  # of one rule


def figures(v):
    billed = Counter(t["ref"] for t in v.e.transfers if t["kind"] == LINE)
    acked = [a for a in v.asked.values() if a["acked"]]
    lost = 0
    for asked in acked:
        for batch in asked["batches"]:
            row = v.e.batches.get(batch)
            if row is None or row["state"] != "cancelled":
                lost += len(asked["texts"]) - sum(r["status"] == OK_LINE for r in v.results[batch].values())
    return {"submissions": len(v.asked), "acknowledged": len(acked),
            "sent_again": sum(a["attempt"] for a in v.asked.values()),
            "not_judged": sum(outside_promise(v, a) for a in v.asked.values()),
            "unknown": sum(not a["acked"] for a in v.asked.values()),
            "lines_acknowledged": sum(len(a["texts"]) for a in acked), "lines_done": len(v.e.results),
            "lines_lost": lost, "lines_billed": len(billed), "lines_billed_twice": sum(n > 1 for n in billed.values()),
            "shares_recorded": v.e.shares.get(ACCEPTED, 0), "shares_pool": v.e.pool["accepted"],
            "shares_unknown": v.e.shares.get(UNKNOWN, 0), "directives": len(v.e.directives),
            "operations": sum(op["type"] == "invoke" for op in v.e.ops),
            "answers_lost": sum(op["type"] == "info" and op["p"] != "nemesis" for op in v.e.ops)}


def judge(e):
    v = View(e)
    findings = []
    for rule in RULES:
        broken = [f"{rule.__name__}: {text}" for text in rule(v)]
        findings += broken[:SHOWN_MAX]
        if len(broken) > SHOWN_MAX:
            findings.append(f"{rule.__name__}: and {len(broken) - SHOWN_MAX} more")
    return Told(findings, figures(v))


def check(out, texts, budgets, secrets=()):
    return judge(gather(out, texts, {t: nano(b) for t, b in budgets.items()}, list(secrets)))


if __name__ == "__main__":
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "demo"))
    from fire import BUDGET_USD, texts as known
    result = check(sys.argv[1], known(), {"poor": BUDGET_USD})
    print(json.dumps(result.figures, indent=1))
    for line in result.findings:
        print("BROKEN:", line)
    sys.exit(1 if result.findings else 0)
