# SPDX-License-Identifier: Apache-2.0
"""What is left when everything has stopped, as plain values: the history, the broker's store and output files,
the pool's log, the agent's journal, all logs. Nothing here judges; fire_check.py does."""
import array
import json
import os
import re
import sqlite3
import struct
from dataclasses import dataclass, field

from fire_history import load


@dataclass
class Evidence:
    texts: list
    ops: list = field(default_factory=list)
    batches: dict = field(default_factory=dict)      # id -> row
    results: list = field(default_factory=list)      # rows
    units: dict = field(default_factory=dict)        # id -> row, `lines` as a list
    transfers: list = field(default_factory=list)    # rows, by id
    accounts: dict = field(default_factory=dict)     # id -> (debits, credits)
    shares: dict = field(default_factory=dict)       # outcome -> count
    pool: dict = field(default_factory=dict)         # result -> count
    directives: dict = field(default_factory=dict)   # (device, epoch) -> row
    devices: dict = field(default_factory=dict)      # key -> row
    journal: dict = field(default_factory=dict)      # "epochs": {device: epoch}, "results", "shares": counts
    obeyed: list = field(default_factory=list)       # (device, epoch) in the order of the agent's log
    outputs: dict = field(default_factory=dict)      # file id -> [(custom_id, tokens, vector's bytes)]
    logs: dict = field(default_factory=dict)         # name -> text
    budgets: dict = field(default_factory=dict)      # tenant -> nano-USD
    secrets: list = field(default_factory=list)


def rows(db, sql):
    db.row_factory = sqlite3.Row
    return [dict(row) for row in db.execute(sql)]


def read_store(e, path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        e.batches = {row["id"]: row for row in rows(db, "SELECT * FROM batches")}
        e.results = rows(db, "SELECT * FROM results ORDER BY batch, line")
        for row in rows(db, "SELECT * FROM units"):
            row["lines"] = list(struct.unpack(f"={len(row['lines']) // 4}I", row["lines"]))
            e.units[row["unit_id"]] = row
        e.transfers = rows(db, "SELECT * FROM transfers ORDER BY id")
        e.accounts = {row["id"]: (int(row["debits"]), int(row["credits"])) for row in rows(db, "SELECT * FROM accounts")}
        e.shares = {row["outcome"]: row["n"] for row in
                    rows(db, "SELECT outcome, count(*) AS n FROM shares GROUP BY outcome")}
        e.directives = {(row["device"], row["epoch"]): row for row in rows(db, "SELECT * FROM directives")}
        e.devices = {row["key"]: row for row in rows(db, "SELECT * FROM devices")}
    finally:
        db.close()


def read_output(path):
    lines = []
    with open(path, encoding="utf-8") as f:
        for text in f:
            line = json.loads(text)
            body = line["response"]["body"]
            vector = array.array("f", body["data"][0]["embedding"]).tobytes()
            lines.append((line["custom_id"], body["usage"]["prompt_tokens"], vector))
    return lines


def read_pool(path):
    counts = {"accepted": 0, "stale": 0, "rejected": 0}
    with open(path, "rb") as f:
        for line in f:
            try:
                counts[json.loads(line)["result"]] += 1
            except (ValueError, KeyError):
                pass  # the last line of a pool that was killed
    return counts


UNIT = 64


def read_journal(path):
    """The layout stands in agent/journal/journal_internal.h; the checksums are the agent's own business."""
    live = {}
    with open(path, "rb") as f:
        data = f.read()
    at = UNIT
    while at + UNIT <= len(data):
        magic, size, _, count = struct.unpack_from("<IIQI", data, at)
        if magic != 0x4C534A42:
            break
        at += UNIT
        place = at
        for _ in range(count):
            op, space, key_size, value_size = struct.unpack_from("<BBHI", data, place)
            place += 8
            key, value = data[place:place + key_size], data[place + key_size:place + key_size + value_size]
            place += key_size + value_size
            if op == 1:
                live[space, key] = value
            else:
                live.pop((space, key), None)
        at += size
    return {"epochs": {key.decode(): int.from_bytes(value[:8], "little") for (space, key), value in live.items()
                       if space == 2},
            "results": sum(space == 3 for space, _ in live), "shares": sum(space == 4 for space, _ in live)}


def read_logs(folder):
    logs = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), errors="replace", encoding="utf-8") as f:
            logs[name] = f.read()
    return logs


def gather(out, texts, budgets, secrets):
    e = Evidence(texts=texts, budgets=budgets, secrets=secrets)
    e.ops = load(os.path.join(out, "history.jsonl"))
    read_store(e, os.path.join(out, "broker", "store.db"))
    for batch in e.batches.values():
        if batch["output_file"]:
            e.outputs[batch["output_file"]] = read_output(os.path.join(out, "broker", "files", batch["output_file"]))
    e.pool = read_pool(os.path.join(out, "pool.log"))
    e.journal = read_journal(os.path.join(out, "agent", "journal"))
    e.logs = read_logs(os.path.join(out, "logs"))
    e.obeyed = [(m.group(1), int(m.group(2)))
                for m in re.finditer(r" directive device=(\S+) epoch=(\d+) ", e.logs.get("agent.log", ""))]
    return e
