# SPDX-License-Identifier: Apache-2.0
"""What happened, in the order in which it happened: one JSON object a line, as Jepsen keeps it.

    {"t": seconds, "p": who, "id": n, "type": "invoke", "f": what, "value": asked}
    {"t": seconds, "p": who, "id": n, "type": "ok" | "fail" | "info", "f": what, "value": answer}

`ok` was done, `fail` was not done, `info` may or may not have been done. Times are CLOCK_MONOTONIC."""
import json
import threading
import time


class History:
    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.next_id = 1
        self.file = open(path, "w", buffering=1, encoding="utf-8")
        self.counts = {}

    def write(self, p, kind, f, value, number=None):
        with self.lock:
            if number is None:
                number = self.next_id
                self.next_id += 1
            self.file.write(json.dumps({"t": round(time.monotonic(), 4), "p": p, "id": number, "type": kind,
                                        "f": f, "value": value}) + "\n")
            self.counts[f, kind] = self.counts.get((f, kind), 0) + 1
        return number

    def invoke(self, p, f, value):
        return self.write(p, "invoke", f, value)

    def event(self, f, value, p="nemesis"):
        self.write(p, "info", f, value)

    def close(self):
        with self.lock:
            self.file.close()


def load(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]
