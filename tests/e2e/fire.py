#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs under fire: a site at work, faults on its processes, network, disks and clocks, and a history of
all operations that is checked when everything has stopped.

    tests/e2e/fire.py --build build/ci [--kills N | --long] [--state FILE] [--seed S] [--faults kill,stop,...]

Runs in rounds: a fresh site each, its faults, its check. Without --kills and --long: one round with each kind of
fault at least once. With --state the totals and the next round stand in FILE: the same command goes on from there.
Exit code 1 when a rule was broken or a device was late."""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "deploy", "demo")]

import fire_totals  # noqa: E402
from fire_check import check  # noqa: E402
from fire_faults import KINDS, Nemesis  # noqa: E402
from fire_history import History  # noqa: E402
from fire_load import HIGH, Client, Load  # noqa: E402
from fire_site import INSIDE, FireSite, private_command  # noqa: E402
from sluice_site import DATA, SiteError  # noqa: E402

ROUND_FAULTS = 50
LONG_KILLS = 1000
TEXTS = 48
BUDGET_USD = "0.6"
KEPT_MAX = 5  # rounds that broke a rule: a long run goes on after them
STOPPED = "fire.py: stopped; the round that was running does not count"
OVERLAPS = 0.2  # of the faults get a second one on top


class Interrupted(Exception):
    pass


def texts():
    with open(os.path.join(DATA, "sentences.txt"), encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f][:TEXTS]


def make_site(args, out, history):
    poor = f"  - id: poor\n    default_bid: 10\n    budget: {BUDGET_USD}\n"
    return FireSite(args.build, out, args.models, history, disk_mib=args.disk_mib, ttl="2s", tenants_extra=poor)


def know_vectors(site, history, known):
    """Every text once, before any fault: what each line's answer has to be."""
    client = Client(site, history, "reference", "demo")
    load = Load(site, history, known, 0)
    batch = load.submit(client, random.Random(0), "reference/1", list(range(len(known))), HIGH)
    done = site.wait_for(lambda: (load.read(client, batch) or {}).get("status") == "completed", 60, 0.2)
    if not done:
        raise SiteError("the reference batch does not complete: " + site.log_tail("agent"))


def final_words(site, history):
    """What the site says when all is calm: nothing waits to be told, the books balance."""
    operator = Client(site, history, "final", "operator")
    operator.do("order", {"order": "stop"}, "POST", "/api/v1/stop", {})

    def spools():
        nodes = operator.do("spools", {}, "GET", "/api/v1/nodes", answer=lambda raw: [
            {k: n[k] for k in ("node", "state", "results_spooled", "shares_spooled")} for n in json.loads(raw)["nodes"]])
        return nodes and all(n["results_spooled"] == 0 and n["shares_spooled"] == 0 for n in nodes)
    site.wait_for(spools, 30, 0.5)
    operator.do("ledger", {}, "GET", "/api/v1/ledger?check=1", answer=lambda raw: {
        k: json.loads(raw)[k] for k in ("balanced", "replayed", "difference")})


def burn(args, nemesis, load, rng, kills_wanted, totals):
    plan = nemesis.plan(each_target=args.each)
    count = 0
    while True:
        kills = sum(nemesis.kills.values())
        done = kills >= kills_wanted if kills_wanted else not plan
        if (done and not plan) or count >= ROUND_FAULTS:
            return
        kind, target = plan.pop() if plan else nemesis.draw()
        time.sleep(rng.uniform(0.1, 1.0))
        nemesis.scene(kind, target, overlap=rng.random() < OVERLAPS)
        nemesis.check_ends()
        count += 1
        if count % 5 == 0:
            print(totals.running(nemesis, load), flush=True)
        if load.errors:
            return


def calm(site, load, history, nemesis):
    """Faults are over: clocks right again, everything back at work, every batch to its end."""
    for name in site.steps_ns:
        site.step_clock(name, 0)
    load.stop()
    nemesis.check_ends()
    drained = load.drain()
    working = site.wait_for(lambda: all(d["mode"] in ("hash", "infer") and not d["trouble"] for d in site.devices()),
                            20, 0.2)
    history.event("calm", {"drained": drained, "working": bool(working)})


def one_round(args, number, totals, kills_wanted):
    out = tempfile.mkdtemp(prefix="sluice-fire-")
    history = History(os.path.join(out, "history.jsonl"))
    site = make_site(args, out, history)
    rng = random.Random(f"{args.seed}/{number}")
    known = texts()
    findings = ["the round did not end"]
    try:
        site.prepare()
        site.start_pool()
        site.start_broker()
        site.make_tenants(("demo", "poor"))
        site.start_agent()
        know_vectors(site, history, known)
        load = Load(site, history, known, f"{args.seed}/{number}")
        nemesis = Nemesis(site, load, history, rng, args.faults, args.patience)
        totals.missing = site.missing
        load.start()
        burn(args, nemesis, load, rng, kills_wanted, totals)
        calm(site, load, history, nemesis)
        final_words(site, history)
        stopped = [name for name in ("agent", "broker", "pool") if not site.stop(name)]
        history.event("stopped", {"hung": stopped})
        history.close()
        told = check(out, known, {"poor": BUDGET_USD}, secrets=list(site.tenant_keys.values()))
        findings = told.findings + [f"load: {error}" for error in load.errors]
        totals.add(nemesis, told)
    except Interrupted:
        findings = []
        raise
    finally:
        if args.keep or findings and totals.bad_rounds < KEPT_MAX:
            keep(site, out, args)
        totals.bad_rounds += bool(findings)
        site.end()
        shutil.rmtree(out, ignore_errors=True)
    return findings


def keep(site, out, args):
    """The disks are gone with the namespace: what is to be looked at is copied before."""
    to = args.keep or os.path.join(ROOT, "tests", "out", "fire")
    os.makedirs(to, exist_ok=True)
    to = os.path.join(to, os.path.basename(out))
    site.stop_all()
    shutil.copytree(out, to, ignore=shutil.ignore_patterns("kernels", "filler", "*.key"))
    print("kept:", to, flush=True)


def go_inside():
    """Again, in namespaces of its own, where they may be made. What runs in there ends with this process's
    word, whatever it is at, and its files go with it."""
    if os.environ.get(INSIDE) is not None:
        return
    prefix, _ = private_command()
    os.environ[INSIDE] = "1" if prefix else ""
    if not prefix:
        return
    folder = tempfile.mkdtemp(prefix="sluice-fire-")
    inside = subprocess.Popen(prefix + ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv],
                              env={**os.environ, "TMPDIR": folder})
    try:
        code = inside.wait()
    except Interrupted:
        inside.kill()
        code = inside.wait() and 130
        print(STOPPED, file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def fault_kinds(text):
    kinds = text.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"there is no fault '{kind}'; there are: {', '.join(KINDS)}")
    return kinds


def positive(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return value


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "ci"))
    parser.add_argument("--models", default=os.environ.get("SLUICE_MODELS", os.path.join(ROOT, "build", "models")))
    parser.add_argument("--kills", type=positive, help="go on until so many processes were killed")
    parser.add_argument("--long", action="store_true", help=f"{LONG_KILLS} kills")
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--state", help="a file for the totals: the same command goes on from there")
    parser.add_argument("--faults", type=fault_kinds, default=list(KINDS), help=",".join(KINDS))
    parser.add_argument("--keep", help="a folder for every round's history, logs and store; else only bad rounds")
    parser.add_argument("--disk-mib", type=positive, default=384, help="size of each of the two small disks")
    parser.add_argument("--patience", type=positive, default=1,
                        help="times the bounds of coming back: for a machine with other work; the figures show it all")
    parser.add_argument("--results", help="a file for the figures as JSON")
    args = parser.parse_args()
    args.wanted = args.kills or (LONG_KILLS if args.long else 0)
    args.each = bool(args.wanted)
    return args


def main():
    args = parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop_here)
    go_inside()
    try:
        totals = fire_totals.load(args.state, args.seed, args.wanted)
    except fire_totals.Unusable as e:
        sys.exit(f"fire.py: {e}")
    bad = 0
    try:
        while True:
            left = args.wanted - totals.kills()
            if args.wanted and left <= 0:
                break
            findings = one_round(args, totals.rounds, totals, left)
            bad += len(findings)
            for finding in findings:
                print("BROKEN:", finding, flush=True)
            totals.save(args.state)
            print(totals.table(), flush=True)
            if not args.wanted:
                break
    except Interrupted:
        print(STOPPED, file=sys.stderr)
        sys.exit(130)
    except SiteError as e:
        sys.exit(f"fire.py: {e}")
    if args.results:
        with open(args.results, "w", encoding="utf-8") as f:
            json.dump(totals.figures(), f, indent=1)
    sys.exit(1 if bad or totals.broken else 0)


def stop_here(number, frame):
    raise Interrupted


if __name__ == "__main__":
    main()
