#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end, shown live and then verified. Called by deploy/demo.sh, which has the options.

Devices hash on a pool until the batch's bid pays more, serve it, and hash again, as real recorded prices
pass in quick motion and the tenant moves its bid. At the end the figures are checked three ways: in the
broker's store, in the pool's own log, in the results file.
"""
import argparse
import json
import math
import os
import signal
import sqlite3
import statistics
import sys
import time
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sluice_site import DATA, Refused, Site, SiteError, decimal_usd  # noqa: E402

MOVES_WANTED = 4  # to the lease and back, each device together
LINES = 2000
BATCHES_MAX = 8  # on a device so fast that a batch is one stay
TERMINAL = sys.stdout.isatty()


def bold(text):
    return f"\033[1m{text}\033[0m" if TERMINAL else text


def fail(text):
    print(f"demo.sh: {text}", file=sys.stderr)
    sys.exit(1)


def hash_rate_text(hs):
    for unit in ("H/s", "kH/s", "MH/s", "GH/s"):
        if hs < 1000:
            return f"{hs:.1f} {unit}"
        hs /= 1000
    return f"{hs:.1f} TH/s"


def usd(nano):
    return f"{int(nano) / 1e9:.9f}"


class Demo:
    def __init__(self, site, args):
        self.site = site
        self.args = args
        self.batch = None
        self.batches = []
        self.high = False  # bids above parity
        self.turned = 0  # when it turned last, s
        self.turn_at = 0  # lines, at which it turns again
        self.parity_nusd = 0
        self.median_price = 0
        self.problems = []

    # ---- the story ----

    def start(self):
        site = self.site
        print(bold("1. Starting") + " a test pool, the broker and this machine's agent"
              if not self.args.pool else bold("1. Starting") + " the broker and this machine's agent")
        site.prepare()
        site.start_pool()
        site.start_broker()
        site.make_tenant()
        print("   waiting for the devices: kernels are built, proved with known answers and timed")
        devices = site.start_agent()
        for d in devices:
            model = d["models"][0]
            print(f"   {d['key']}: {d['name']}: {hash_rate_text(d['hashrate_hs'])}, "
                  f"{model['tokens_per_s']:.0f} tokens/s of {model['id']}, "
                  f"stops within {d['stop_us_p50']} us")
        return devices

    def parity(self, devices, hashprice_usd):
        """The bid per million tokens at which a lease earns what hashing earns at this hashprice."""
        hs = sum(d["hashrate_hs"] for d in devices)
        tokens = sum(d["models"][0]["tokens_per_s"] for d in devices)
        factor = self.site.options["hash_factor"]
        usd_per_s = hashprice_usd / 86400 * hs / 1e15 * factor
        return max(1, int(usd_per_s / tokens * 1e6 * 1e9))

    def sentences(self):
        with open(os.path.join(DATA, "sentences.txt"), encoding="utf-8") as f:
            return [line.rstrip("\n") for line in f]

    def prices(self):
        with open(os.path.join(DATA, "hashprice.csv")) as f:
            return [float(line.split(",")[1]) for line in f.readlines()[1:]]

    def show(self, status, devices, market, state):
        price = next((f for f in market["feeds"] if f["id"] == "hashprice"), None)
        modes = " ".join(f"{'HASH' if d['mode'] == 'hash' else 'LEASE' if d['mode'] == 'infer' else 'idle':5}"
                         for d in devices)
        value = float(price["value"]) if price and price["value"] else 0
        print(f"   {self.elapsed():5.0f} s  hashprice {value:6.2f} USD/PH/day x {status['hash_factor']}"
              f"  {modes}  {hash_rate_text(status['hashrate_hs']):>11}"
              f"  shares {status['shares']['accepted']:5}"
              f"  lines {state['request_counts']['completed']:5}/{state['request_counts']['total']}"
              f"  moves {status['switches']['count']:4}", flush=True)

    def elapsed(self):
        return time.monotonic() - self.t0

    def market_price(self):
        price = next((f for f in self.site.api("GET", "/api/v1/market")["feeds"] if f["id"] == "hashprice"), None)
        return float(price["value"]) if price and price["value"] else self.median_price

    def change_bid(self, percent):
        """A bid so far above or below what hashing pays at this moment, at the rates that the devices report
        now: they change with whatever else this machine does."""
        self.parity_nusd = self.parity(self.site.devices(), self.market_price())
        try:
            self.site.bid(self.batch, decimal_usd(max(1, self.parity_nusd * percent // 100)))
        except Refused:
            pass  # its last line was done meanwhile

    def keep_time(self, done, modes):
        """The tenant's own rhythm: above parity until a sixth of the lines is done, then below, and so on. By
        lines and not by seconds, since one machine serves a hundred lines a second and another all at once."""
        since = self.elapsed() - self.turned
        if self.elapsed() > 0.6 * self.args.limit:
            percent = 400  # a busy machine: let it finish
        elif self.high and (done >= self.turn_at or since >= self.args.bid_every):
            percent = 60
        elif not self.high and since >= self.args.bid_every and modes == {"hash"}:
            percent = 150
        else:
            return
        self.high = percent > 100
        self.turn_at = done + LINES // 6
        self.turned = self.elapsed()
        self.change_bid(percent)

    def submit(self):
        """Below parity, so that nothing moves yet."""
        self.batch = self.site.submit(self.sentences(), decimal_usd(max(1, self.parity_nusd // 4)))
        self.batches.append(self.batch)
        self.high, self.turn_at = False, 0

    def moved_enough(self):
        with closing(sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)) as db:
            return min(self.moves(db)) >= MOVES_WANTED

    def lease(self):
        site = self.site
        self.median_price = statistics.median(self.prices())
        self.parity_nusd = self.parity(site.devices(), self.median_price)
        print(bold("2. Leasing") + f" {LINES:,} sentences; at a bid near {decimal_usd(self.parity_nusd)} USD "
              "per million tokens a lease pays what hashing pays at the median hashprice")
        print(f"   (hashprice x {site.options['hash_factor']}: on a CPU a real one is worth a millionth "
              "of any lease; nothing else is scaled)")
        self.t0 = time.monotonic()
        self.turned = self.args.hash_first - self.args.bid_every  # a few seconds of pure hashing first
        self.submit()
        shown = -1
        done_at = None
        while True:
            state = site.batch(self.batch)
            devices = site.devices()
            if int(self.elapsed()) != shown:
                shown = int(self.elapsed())
                self.show(site.api("GET", "/api/v1/status"), devices, site.api("GET", "/api/v1/market"), state)
            if state["status"] in ("failed", "expired", "cancelled"):
                fail(f"the batch ended as {state['status']}: {json.dumps(state.get('errors'))}")
            if state["status"] == "completed":
                done_at = done_at or self.elapsed()
                if self.elapsed() >= done_at + self.args.hash_after:
                    if self.moved_enough() or len(self.batches) == BATCHES_MAX:
                        return
                    print("   all lines were done before there were enough moves: the same once more")
                    self.submit()
                    done_at = None
            elif state["status"] == "in_progress":
                self.keep_time(state["request_counts"]["completed"], {d["mode"] for d in devices})
            if self.elapsed() > self.args.limit:
                fail(f"the batch was not done within {self.args.limit} s; see demo-out/logs")
            for name in ("broker", "agent"):
                site.check_alive(name)
            time.sleep(0.2)

    # ---- the proof ----

    def check(self, good, text):
        if not good:
            self.problems.append(text)

    def download(self, batch, path):
        state = self.site.batch(batch)
        raw = self.site.raw("GET", f"/v1/files/{state['output_file_id']}/content",
                            key=self.site.tenant_key)
        with open(self.site.path(path), "wb") as f:
            f.write(raw)
        return state, [json.loads(line) for line in raw.splitlines()]

    def check_results(self):
        """Tokens of each batch."""
        return [self.check_file(batch, f"results{'' if i == 0 else -i - 1}.jsonl")
                for i, batch in enumerate(self.batches)]

    def check_file(self, batch, path):
        state, lines = self.download(batch, path)
        wanted = {f"line-{i}" for i in range(LINES)}
        self.check({line["custom_id"] for line in lines} == wanted and len(lines) == LINES,
                   f"{path} does not hold each of the {LINES:,} lines exactly once")
        tokens = 0
        for line in lines:
            body = line["response"]["body"]
            vector = body["data"][0]["embedding"]
            norm = math.sqrt(sum(x * x for x in vector))
            self.check(len(vector) == 384 and abs(norm - 1) < 1e-3,
                       f"{line['custom_id']} is no unit vector of 384 numbers")
            tokens += body["usage"]["prompt_tokens"]
        self.check(state["usage"]["total_tokens"] == tokens,
                   f"the batch says {state['usage']['total_tokens']} tokens, its lines {tokens}")
        return tokens

    def moves(self, db):
        """Moves by the rows themselves: per device the epochs in order, counted where a lease begins or
        ends, and whether only prices, bids and work did it."""
        rows = db.execute("SELECT device, mode, rule FROM directives ORDER BY device, epoch").fetchall()
        to_lease = to_hash = 0
        last = {}
        for device, mode, rule in rows:
            before = last.get(device)
            if mode == "infer" and before == "hash":
                to_lease += 1
            if mode == "hash" and before == "infer":
                to_hash += 1
            last[device] = mode
            self.check(rule not in ("pin", "drain", "stop"), f"{device} was moved by '{rule}'")
        return to_lease, to_hash

    def check_store(self, tokens):
        db = sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)
        for batch, of_file in zip(self.batches, tokens):
            lines, stored, billed = db.execute(
                "SELECT count(*), sum(tokens), sum(amount_nusd) FROM results WHERE batch=? AND status=1",
                (batch,)).fetchone()
            self.check(lines == LINES and stored == of_file,
                       f"the store holds {lines} lines and {stored} tokens, the file {LINES} and {of_file}")
            posted = db.execute("SELECT count(*), sum(amount_nusd) FROM transfers WHERE kind=1 AND ref LIKE ?",
                                (batch + "/%",)).fetchone()
            self.check(posted == (LINES, billed), f"postings {posted} differ from results {(LINES, billed)}")
        debits = {}
        credits = {}
        for debit, credit, amount in db.execute("SELECT debit, credit, amount_nusd FROM transfers"):
            debits[debit] = debits.get(debit, 0) + amount
            credits[credit] = credits.get(credit, 0) + amount
        for account, d, c in db.execute("SELECT id, debits, credits FROM accounts"):
            self.check(int(d) == debits.get(account, 0) and int(c) == credits.get(account, 0),
                       f"account {account} is not the sum of its transfers")
        self.check(sum(debits.values()) == sum(credits.values()), "debits and credits differ")
        to_lease, to_hash = self.moves(db)
        self.check(to_lease >= MOVES_WANTED and to_hash >= MOVES_WANTED,
                   f"only {to_lease} moves to the lease and {to_hash} back were made")
        shares = dict(db.execute("SELECT outcome, count(*) FROM shares GROUP BY outcome"))
        db.close()
        return shares

    def check_pool(self, shares):
        if self.args.pool:
            return
        counts = self.site.pool_counts()
        accepted, unknown = shares.get(1, 0), shares.get(4, 0)
        self.check(accepted <= counts["accepted"] <= accepted + unknown,
                   f"the ledger has {accepted} accepted and {unknown} unknown shares, "
                   f"the pool accepted {counts['accepted']}")
        self.check(counts["rejected"] == 0, f"the pool rejected {counts['rejected']} shares")
        self.check(counts["accepted"] > 0, "no share was accepted")

    def settle(self):
        """Without --hold the agent ends first, so that nothing is under way when shares are compared; with
        it, wait for a moment in which ledger and pool agree."""
        if not self.args.hold:
            self.check(self.site.stop("agent"), "the agent did not end within 20 s of SIGTERM")
            time.sleep(1.0)
            return
        for _ in range(100):
            before = self.site.pool_counts()["accepted"]
            known = self.site.api("GET", "/api/v1/status")["shares"]
            if known["accepted"] <= before <= known["accepted"] + known["unknown"] or self.args.pool:
                return
            time.sleep(0.05)

    def prove(self):
        print(bold("3. Proving") + " it from the broker's store, the pool's log and the results file")
        tokens = self.check_results()
        live = self.site.api("GET", "/api/v1/summary")
        self.settle()
        shares = self.check_store_at_rest(tokens)
        self.check_pool(shares)
        summary = self.site.api("GET", "/api/v1/summary?check=1")
        # Rates are of the devices at work; the agent may have ended by now.
        for key in ("hashrate_hs", "tokens_per_s"):
            summary[key] = live[key]
        self.check(summary["ledger_balanced"] is True, "the broker finds its ledger out of balance")
        with open(self.site.path("summary.json"), "w") as f:
            json.dump(summary, f, indent=2)
            f.write("\n")
        return summary

    def check_store_at_rest(self, tokens):
        """With --hold shares go on coming in: take the store's and the pool's figures close together, and
        again if a share fell between them."""
        for attempt in range(50):
            problems = list(self.problems)
            shares = self.check_store(tokens)
            counts = self.site.pool_counts()["accepted"]
            accepted, unknown = shares.get(1, 0), shares.get(4, 0)
            if self.args.pool or accepted <= counts <= accepted + unknown or not self.args.hold:
                return shares
            if attempt < 49:
                self.problems = problems
                time.sleep(0.1)
        return shares

    def table(self, s):
        r = {k: int(v) for k, v in s["revenue_nusd"].items()}
        rows = [
            ("shares accepted / stale / rejected",
             f"{s['shares_accepted']} / {s['shares_stale']} / {s['shares_rejected']}"),
            ("hash rate", hash_rate_text(s["hashrate_hs"])),
            ("lines done", f"{s['lines_done']} of {s['lines_total']}"),
            ("tokens per second", f"{s['tokens_per_s']:.0f}"),
            ("switches", f"{s['switches']}, p50 {s['switch_ms_p50']:.2f} ms, p99 {s['switch_ms_p99']:.2f} ms"),
            ("revenue from hashing (hashprice scaled)", usd(r["hash"]) + " USD"),
            ("revenue from leases", usd(r["lease"]) + " USD"),
            ("cost of power (rated watts)" if self.site.options.get("rated") else "cost of power (watts unknown)",
             usd(r["power"]) + " USD"),
            ("before power: together / always hashing", f"{usd(r['hash'] + r['lease'])} / {usd(r['always_hash'])} USD"),
            ("before power: together / always leasing", f"{usd(r['hash'] + r['lease'])} / {usd(r['always_lease'])} USD"),
            ("ledger balanced", "yes" if s["ledger_balanced"] else "NO"),
        ]
        width = max(len(a) for a, _ in rows)
        print()
        for a, b in rows:
            print(f"   {a:<{width}}  {b}")
        print()


def parse(argv):
    parser = argparse.ArgumentParser(prog="demo.sh", description="The main job on this machine, end to end.")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--out", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--models", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--pool")
    parser.add_argument("--user")
    args = parser.parse_args(argv)
    args.hash_first = 5 if args.ci else 15
    args.hash_after = 4 if args.ci else 10
    args.bid_every = 2 if args.ci else 5
    args.limit = 150 if args.ci else 480
    return args


def main():
    args = parse(sys.argv[1:])
    site = Site(args.build, args.out, args.models, hash_factor=10000000, rated=(20, 65, 65), policy="fbf",
                pool_url=args.pool, pool_user=args.user or "sluice.demo",
                speed=864000 if args.ci else 216000)
    demo = Demo(site, args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    left_running = False
    try:
        demo.start()
        demo.lease()
        summary = demo.prove()
        demo.table(summary)
        if demo.problems:
            for problem in demo.problems[:20]:
                print(f"   NOT PROVED: {problem}", file=sys.stderr)
            fail("the demo ran, but not everything could be verified; its files are in demo-out")
        if args.hold:
            left_running = True
            print(f"Still running: {site.url}; settings in demo-out/env, processes: broker "
                  f"{site.pid('broker')}, agent {site.pid('agent')}, pool {site.pid('pool')}.\n"
                  "Stop them with: deploy/demo.sh --stop")
        else:
            print("Everything was verified.")
    except SiteError as e:
        fail(str(e))
    finally:
        if not left_running:
            hung = site.stop_all()
            if hung:
                fail(f"{', '.join(hung)} did not end within 20 s of SIGTERM and was killed")


if __name__ == "__main__":
    main()
