# SPDX-License-Identifier: Apache-2.0
"""Tenants at work while the site burns: they submit, bid, cancel, read, and ask again when an answer is lost.
Everything they ask and hear goes into the history."""
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request

from sluice_site import MODEL

LOW, MIDDLE, HIGH = "0.000001", "0.05", "1000"
BIDS = (LOW, MIDDLE, HIGH)
LEAVES = 0.25  # of the submissions are sent without waiting for the answer, and so sent again
REPEATS = 0.4  # of those that were answered are sent again all the same
DONE = ("completed", "failed", "expired", "cancelled")
TENANTS = ("demo", "poor")
# Answers after which it is not known whether the request was, or after which it is to be repeated.
AGAIN = ("request_in_progress", "file_in_use", "overloaded", "broker_is_busy", "broker_is_stopping", "disk_full",
         "server_error", "out_of_memory")


class Unknown(Exception):
    """No answer: it may have happened or not."""


class No(Exception):
    def __init__(self, status, code):
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class Client:
    """One tenant's connection, and one process of the history."""

    def __init__(self, site, history, name, tenant):
        self.site, self.history, self.name, self.tenant = site, history, name, tenant
        self.key = site.tenant_keys.get(tenant) or site.admin_key

    def ask(self, method, path, body=None, headers=None, timeout_s=5.0):
        head = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        if isinstance(body, dict):
            body = json.dumps(body, sort_keys=True).encode()
            head["Content-Type"] = "application/json"
        request = urllib.request.Request(self.site.url + path, data=body, method=method, headers=head)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.read()
        except urllib.error.HTTPError as e:
            try:
                code = json.loads(e.read())["error"]["code"]
            except (ValueError, KeyError, TypeError, OSError):
                raise Unknown(f"HTTP {e.code}") from None
            raise No(e.code, code) from None
        except (urllib.error.URLError, OSError, http.client.HTTPException) as e:
            raise Unknown(str(e)) from None

    def send_and_leave(self, method, path, body, headers):
        """The whole request is sent, the answer is not waited for: the connection is lost."""
        line = http.client.HTTPConnection("127.0.0.1", self.site.http_port, timeout=2)
        try:
            line.request(method, path, json.dumps(body, sort_keys=True).encode(),
                         {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers})
        except OSError as e:
            raise Unknown(str(e)) from None
        finally:
            line.close()
        raise Unknown("the answer was not waited for")

    def do(self, f, value, method, path, body=None, headers=None, timeout_s=5.0, answer=json.loads, leave=False):
        """One operation of the history. Its answer, or None; No where it was refused for good."""
        number = self.history.invoke(self.name, f, value)
        try:
            said = answer((self.send_and_leave(method, path, body, headers) if leave else
                           self.ask(method, path, body, headers, timeout_s)))
        except Unknown as e:
            self.history.write(self.name, "info", f, {"why": str(e)}, number)
            return None
        except No as e:
            kind = "info" if e.code in AGAIN else "fail"
            self.history.write(self.name, kind, f, {"code": e.code, "status": e.status}, number)
            if kind == "fail":
                raise
            return None
        self.history.write(self.name, "ok", f, said, number)
        return said


def multipart(content):
    edge = "sluice-fire-boundary"
    head = (f"--{edge}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{edge}\r\n"
            "Content-Disposition: form-data; name=\"file\"; filename=\"b.jsonl\"\r\n"
            "Content-Type: application/jsonl\r\n\r\n")
    return head.encode() + content + f"\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


class Load:
    """`quiet` asks the bidders to hold all bids low, so that devices hash."""

    def __init__(self, site, history, texts, seed):
        self.site, self.history, self.texts, self.seed = site, history, texts, seed
        self.lock = threading.Lock()
        self.open = {}  # batch -> tenant
        self.quiet = threading.Event()
        self.stopping = threading.Event()
        self.submitting = threading.Event()
        self.threads = []
        self.errors = []
        self.lines_asked = 0

    def start(self):
        self.submitting.set()
        for name, run, tenant in (("submit-1", self.submit_on, "demo"), ("submit-2", self.submit_on, "demo"),
                                  ("submit-3", self.submit_on, "poor"), ("bid-1", self.bid_on, "demo"),
                                  ("cancel-1", self.cancel_on, "demo"), ("read-1", self.read_on, "demo"),
                                  ("read-2", self.read_on, "poor"), ("watch-1", self.watch_on, "operator")):
            client = Client(self.site, self.history, name, tenant)
            rng = random.Random(f"{self.seed}/{name}")
            thread = threading.Thread(target=self.guard, args=(run, client, rng), name=name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def guard(self, run, client, rng):
        try:
            run(client, rng)
        except Exception as e:  # noqa: BLE001 - a broken tenant must fail the run, not stop it quietly
            self.errors.append(f"{client.name}: {type(e).__name__}: {e}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def batches(self, tenant):
        with self.lock:
            return [batch for batch, owner in self.open.items() if owner == tenant]

    # ---- what the threads do ----

    def submit_on(self, client, rng):
        count = 0
        while not self.stopping.is_set():
            if not self.submitting.is_set() or len(self.batches(client.tenant)) >= 3:
                time.sleep(0.2)
                continue
            count += 1
            size = rng.randint(2, 12) if client.tenant == "poor" else rng.randint(5, 60)
            self.submit(client, rng, f"{client.name}/{count}",
                        [rng.randrange(len(self.texts)) for _ in range(size)],
                        LOW if self.quiet.is_set() else HIGH if client.tenant == "poor" else rng.choice(BIDS))
            time.sleep(rng.uniform(0.0, 0.8))

    def upload(self, client, content):
        """A file that is uploaded twice costs a file: only what is acknowledged counts."""
        body, content_type = multipart(content)
        while True:
            answer = client.do("upload", {"bytes": len(content)}, "POST", "/v1/files", body,
                               {"Content-Type": content_type})
            if answer:
                return answer["id"]
            if self.stopping.is_set():
                return None
            time.sleep(0.3)

    def submit(self, client, rng, key, texts, bid, patience_s=120):
        """Sends one batch, again and again until there is an answer, as an SDK would or with a key of its own."""
        lines = "\n".join(json.dumps({"custom_id": f"{key}/{i}", "method": "POST", "url": "/v1/embeddings",
                                      "body": {"model": MODEL, "input": self.texts[t]}})
                          for i, t in enumerate(texts))
        file_id = self.upload(client, lines.encode() + b"\n")
        if file_id is None:
            return None
        style = rng.choice(("key", "retry"))
        body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h",
                "metadata": {"sluice.bid_usd_per_mtok": bid, "fire": key}}
        until = time.monotonic() + patience_s
        attempt, known = 0, None
        while time.monotonic() < until:
            headers = {"Idempotency-Key": key} if style == "key" else {"x-stainless-retry-count": str(attempt)}
            answer = client.do("submit", {"key": key, "style": style, "attempt": attempt, "tenant": client.tenant,
                                          "texts": texts, "bid": bid}, "POST", "/v1/batches", body, headers,
                               timeout_s=rng.choice((1.0, 5.0)), leave=known is None and rng.random() < LEAVES,
                               answer=lambda raw: {"batch": json.loads(raw)["id"]})
            attempt += 1
            if answer and known is None:
                known = answer["batch"]
                with self.lock:
                    self.open[known] = client.tenant
                    self.lines_asked += len(texts)
            # Also one that was answered is sent again now and then, at once or after a restart of the broker.
            if known and rng.random() > REPEATS:
                return known
            time.sleep(rng.uniform(0.05, 0.6))
        return known

    def bid(self, client, batch, bid):
        try:
            return client.do("bid", {"batch": batch, "bid": bid}, "POST", f"/api/v1/batches/{batch}/bid",
                             {"bid_usd_per_mtok": bid})
        except No as e:
            if e.code != "invalid_state":  # it ended meanwhile
                raise
            return None

    def bid_on(self, client, rng):
        held = False
        while not self.stopping.wait(rng.uniform(0.2, 0.9)):
            batches = self.batches(client.tenant)
            if self.quiet.is_set():
                if not held:
                    held = all([self.bid(client, batch, LOW) or batch not in self.batches(client.tenant)
                                for batch in batches])
                continue
            held = False
            if batches:
                self.bid(client, rng.choice(batches), rng.choice(BIDS))

    def cancel_on(self, client, rng):
        while not self.stopping.wait(rng.uniform(4, 10)):
            batches = self.batches(client.tenant)
            if batches:
                self.cancel(client, rng.choice(batches))

    def cancel(self, client, batch):
        return client.do("cancel", {"batch": batch}, "POST", f"/v1/batches/{batch}/cancel", b"",
                         answer=lambda raw: {"status": json.loads(raw)["status"]})

    def read(self, client, batch):
        def short(raw):
            told = json.loads(raw)
            return {"batch": told["id"], "status": told["status"], **told["request_counts"],
                    "output": told["output_file_id"]}
        told = client.do("read", {"batch": batch}, "GET", f"/v1/batches/{batch}", answer=short)
        if told and told["status"] in DONE:
            with self.lock:
                self.open.pop(batch, None)
        return told

    def read_on(self, client, rng):
        while not self.stopping.wait(0.4):
            for batch in self.batches(client.tenant):
                self.read(client, batch)

    def watch_on(self, client, rng):
        while not self.stopping.wait(0.5):
            self.watch(client)

    @staticmethod
    def watch(client):
        def short(raw):
            return [{k: d[k] for k in ("key", "node", "epoch", "mode", "wanted", "trouble")}
                    for d in json.loads(raw)["devices"]]
        return client.do("devices", {}, "GET", "/api/v1/devices", answer=short)

    # ---- after the fire ----

    def adopt(self, client):
        after = ""
        while after is not None:
            page = json.loads(client.ask("GET", "/v1/batches?limit=100" + (after and "&after=" + after)))
            with self.lock:
                for row in page["data"]:
                    if row["status"] not in DONE:
                        self.open[row["id"]] = client.tenant
            after = page["last_id"] if page["has_more"] else None

    def drain(self, timeout_s=150):
        """Every batch that is open is paid well, until none is; poor tenants give up what they cannot pay."""
        client = {t: Client(self.site, self.history, f"drain-{t}", t) for t in TENANTS}
        until = time.monotonic() + timeout_s
        for tenant in TENANTS:  # those too whose answer never came
            self.adopt(client[tenant])
        for batch in self.batches("poor"):
            self.cancel(client["poor"], batch)
        for batch in self.batches("demo"):
            self.bid(client["demo"], batch, HIGH)
        while time.monotonic() < until:
            with self.lock:
                left = dict(self.open)
            if not left:
                return True
            for batch, tenant in left.items():
                self.read(client[tenant], batch)
            time.sleep(0.3)
        return False
