# SPDX-License-Identifier: Apache-2.0
"""The HTTP API with the real binaries: bad input of every kind, the life of a batch, who may do what. Devices are scripted ones where what they compute does not matter; texts are
tokenized by the real tokenizer all the same."""
import http.client
import json
import os
import time
import unittest

from sluice_site import MODEL, Refused
from support import SiteCase

LOW, HIGH = "0.000001", "1000"
MIB = 1024 * 1024


def request(i, text="a text", **changes):
    line = {"custom_id": f"r{i}", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": text}}
    for key, value in changes.items():
        if key in ("dimensions", "encoding_format", "unheard_of", "input", "model"):
            line["body"][key] = value
        else:
            line[key] = value
    return json.dumps(line)


class ApiCase(SiteCase):
    options = {"fake_devices": 2}

    def refused(self, status, code, method, path, body=None, key=None, headers=None):
        """The answer is an error of OpenAI's shape that says what to do; returns its text."""
        with self.assertRaises(Refused, msg=f"{method} {path} {body}") as caught:
            self.site.api(method, path, body, key or self.site.tenant_key, headers=headers)
        self.assertEqual(caught.exception.status, status, caught.exception.body)
        error = json.loads(caught.exception.body)["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual(error["code"], code, error)
        self.assertGreater(len(error["message"]), 10)
        return error["message"]

    def upload(self, content):
        return self.site.upload(content if isinstance(content, bytes) else content.encode())

    def create(self, file_id, key=None, **metadata):
        body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        if metadata:
            body["metadata"] = {"sluice." + name: value for name, value in metadata.items()}
        return self.site.api("POST", "/v1/batches", body, key or self.site.tenant_key)

    def run_batch(self, content, status="completed", **metadata):
        batch = self.create(self.upload(content), **{"bid_usd_per_mtok": HIGH, **metadata})
        return self.wait_batch(batch["id"], status)

    def lines(self, file_id):
        if not file_id:
            return {}
        raw = self.site.raw("GET", f"/v1/files/{file_id}/content", key=self.site.tenant_key)
        return {line["custom_id"]: line for line in map(json.loads, raw.decode().splitlines())}


class BadLines(ApiCase):
    """A batch at fault turns `failed`, names every bad line, and costs nothing."""

    def faults(self, content):
        state = self.run_batch(content, "failed")
        self.assertEqual(state["request_counts"], {"total": 0, "completed": 0, "failed": 0})
        self.assertIsNone(state["output_file_id"])
        self.assertEqual(self.query("SELECT count(*) FROM transfers WHERE ref LIKE ?", state["id"] + "/%"), [(0,)])
        found = [(e["line"], e["code"]) for e in state["errors"]["data"]]
        for entry in state["errors"]["data"]:
            self.assertGreater(len(entry["message"]), 10)
        return found

    def test_every_fault_is_named_with_its_line(self):
        good = request(0)
        cases = [
            ("cut off", good + "\n" + request(1)[:-3], [(2, "invalid_json_line")]),
            ("no JSON at all", good + "\nhello\n" + request(2), [(2, "invalid_json_line")]),
            ("a number that JSON does not have", good.replace('"a text"', "NaN"), [(1, "invalid_json_line")]),
            ("not an object", "[1]", [(1, "invalid_json_line")]),
            ("twice the same id", "\n".join([good, request(1), good]), [(3, "duplicate_custom_id")]),
            ("no id", request(0, custom_id=""), [(1, None)]),
            ("an empty line", good + "\n\n" + request(1), [(2, "empty_line")]),
            ("wrong url", good + "\n" + request(1, url="/v1/chat/completions"), [(2, "url_mismatch")]),
            ("wrong method", request(0, method="GET"), [(1, "invalid_method")]),
            ("a model that is not offered", request(0, model="gpt-nope"), [(1, "model_not_found")]),
            ("no body", '{"custom_id":"x","method":"POST","url":"/v1/embeddings"}',
             [(1, "missing_required_parameter")]),
            ("a line of more than 1 MiB", good + "\n" + request(1, "x" * (MIB + 10)), [(2, "line_too_long")]),
            ("an empty file", "", [(None, "empty_file")]),
            ("several at once", "\n".join(["{", good, request(1, url="/x"), good]),
             [(1, "invalid_json_line"), (3, "url_mismatch"), (4, "duplicate_custom_id")]),
        ]
        for name, content, wanted in cases:
            with self.subTest(name):
                found = self.faults(content)
                self.assertEqual(len(found), len(wanted), found)
                for (line, code), (wanted_line, wanted_code) in zip(found, wanted):
                    self.assertEqual(line, wanted_line, found)
                    if wanted_code:
                        self.assertEqual(code, wanted_code, found)

    def test_bytes_that_are_no_text(self):
        for raw in (request(0).encode().replace(b"a text", b"a \xff text"), b"\x00\x01\x02", b"\xff\xfe{\x00}\x00"):
            with self.subTest(raw=raw[:20]):
                self.assertEqual([code for _, code in self.faults(raw)][:1], ["invalid_json_line"])

    def test_too_many_lines_and_texts(self):
        many = "\n".join(request(i, "x") for i in range(50001))
        self.assertEqual(self.faults(many)[-1], (None, "too_many_tasks"))
        texts = "\n".join(request(i, ["x"] * 60) for i in range(834))
        self.assertEqual([code for _, code in self.faults(texts)], ["too_many_inputs"])

    def test_so_many_faults_that_not_all_are_listed(self):
        found = self.faults("x\n" * 3000)
        self.assertEqual(len(found), 1001)
        self.assertEqual(found[-1][1], "too_many_errors")

    def test_windows_files_are_fine(self):
        content = b"\xef\xbb\xbf" + b"\r\n".join(request(i).encode() for i in range(3))  # no last line end
        state = self.run_batch(content)
        self.assertEqual(state["request_counts"], {"total": 3, "completed": 3, "failed": 0})

    def test_a_fault_inside_a_body_costs_its_line_only(self):
        bad = {
            "rdim": request("dim", dimensions=3), "rfmt": request("fmt", encoding_format="hex"),
            "rnew": request("new", unheard_of=1), "rnone": request("none", input=""),
            "rlist": request("list", input=[]),
            "rids": request("ids", input=[1, 2, 30522]),  # one past the vocabulary
            "rnum": request("num", input=7), "rsurr": request("surr").replace("a text", "a \\ud800 text"),
            "rlong": request("long", "word " * 300),  # more than the model's 256 tokens
        }
        good = [request(i, f"text number {i}") for i in range(20)]
        state = self.run_batch("\n".join(good[:10] + list(bad.values()) + good[10:]))
        self.assertEqual(state["request_counts"], {"total": 29, "completed": 20, "failed": 9})
        self.assertEqual(set(self.lines(state["output_file_id"])), {f"r{i}" for i in range(20)})
        errors = self.lines(state["error_file_id"])
        self.assertEqual(set(errors), set(bad))
        for line in errors.values():
            self.assertEqual(line["response"]["status_code"], 400, line)
            self.assertIn("message", line["response"]["body"]["error"])
            self.assertIsNone(line["error"])
        billed = self.query("SELECT count(*) FROM transfers WHERE kind=1 AND ref LIKE ?", state["id"] + "/%")
        self.assertEqual(billed, [(20,)], "a line at fault was billed")

    def test_all_lines_at_fault(self):
        state = self.run_batch(request(0, dimensions=3))
        self.assertIsNone(state["output_file_id"])
        self.assertEqual(set(self.lines(state["error_file_id"])), {"r0"})

    def test_uploads_that_are_none(self):
        key = self.site.tenant_key
        form = {"Content-Type": "multipart/form-data; boundary=limit"}

        def part(name, value, more=""):
            return f'--limit\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'

        file = part("file", "x", '; filename="f"')
        end = "--limit--\r\n"
        for body, headers, code in (("{}", {"Content-Type": "application/json"}, "invalid_multipart"),
                                    (file, {"Content-Type": "multipart/form-data"}, "invalid_multipart"),
                                    (part("purpose", "batch") + end, form, "missing_required_parameter"),
                                    (file + end, form, "missing_required_parameter"),
                                    (part("purpose", "batch") + file + file + end, form, "invalid_value"),
                                    (part("purpose", "fine-tune") + file + end, form, "invalid_value")):
            with self.subTest(body=body):
                self.refused(400, code, "POST", "/v1/files", body.encode(), key, headers)
        # The parts may come in any order: SDKs differ.
        body = (file + part("purpose", "batch") + "--limit--\r\n").encode()
        answer = json.loads(self.site.raw("POST", "/v1/files", body, key, headers=form))
        self.assertEqual((answer["bytes"], answer["status"]), (1, "processed"))

    def test_a_file_of_more_than_200_mb(self):
        with self.assertRaises(Refused) as caught:
            self.upload(b"x" * (201 * MIB))
        self.assertEqual(caught.exception.status, 413, caught.exception.body)
        self.assertIn("split the batch", caught.exception.body)
        self.assertTrue(self.site.healthy())
        left = [n for n in os.listdir(self.site.path("broker", "files"))
                if os.path.getsize(self.site.path("broker", "files", n)) > 100 * MIB]
        self.assertEqual(left, [], "the refused upload was left on the disk")


class Bids(ApiCase):
    BAD = ("0", "-1", "-0.05", "NaN", "nan", "inf", "1e9", "99999999", "1000000.000000001", "", " 0.05", "0.05 ",
           "0,05", "abc", "0x10", "0.0000000001")

    def test_bids_at_creation(self):
        file_id = self.upload(request(0))
        before = self.query("SELECT count(*) FROM batches")
        for bid in self.BAD:
            with self.subTest(bid=bid):
                with self.assertRaises(Refused) as caught:
                    self.create(file_id, bid_usd_per_mtok=bid)
                self.assertEqual(caught.exception.status, 400)
                self.assertIn("bid_usd_per_mtok", caught.exception.body)
        self.assertEqual(self.query("SELECT count(*) FROM batches"), before)

    def test_bids_later(self):
        self.sluice("stop", "--all")
        batch = self.create(self.upload(request(0)), bid_usd_per_mtok="0.05")["id"]
        path = f"/api/v1/batches/{batch}/bid"
        for bid in self.BAD:
            with self.subTest(bid=bid):
                self.refused(400, "invalid_value", "POST", path, {"bid_usd_per_mtok": bid})
        for body in ({"bid_usd_per_mtok": 0.05}, {"bid_usd_per_mtok": None}, {}, {"bid": "0.05"}, [1]):
            with self.subTest(body=body):
                with self.assertRaises(Refused) as caught:
                    self.site.api("POST", path, body, self.site.tenant_key)
                self.assertEqual(caught.exception.status, 400)
        for body in (b'{"bid_usd_per_mtok":NaN}', b"{", b"\xff", b'{"bid_usd_per_mtok":"1"}{}'):
            with self.subTest(body=body):
                with self.assertRaises(Refused) as caught:
                    self.site.raw("POST", path, body, self.site.tenant_key, {"Content-Type": "application/json"})
                self.assertEqual(caught.exception.status, 400)
        shown = self.site.api("GET", f"/api/v1/batches/{batch}", key=self.site.tenant_key)
        self.assertEqual(shown["bid_usd_per_mtok"], "0.05", "a refused bid changed something")
        for bid in ("0.000000001", "1000000", "0.07"):  # the least, the most, and one to stay
            self.site.bid(batch, bid)
        shown = self.site.api("GET", f"/api/v1/batches/{batch}", key=self.site.tenant_key)
        self.assertEqual(shown["bid_usd_per_mtok"], "0.07")
        self.sluice("resume", "--all")
        self.wait_batch(batch)
        self.refused(409, "invalid_state", "POST", path, {"bid_usd_per_mtok": "0.05"})
        self.refused(404, "not_found", "POST", "/api/v1/batches/batch_none/bid", {"bid_usd_per_mtok": "0.05"})

    def test_a_batch_without_a_bid_gets_the_tenants_default(self):
        batch = self.create(self.upload(request(0)))["id"]
        self.wait_batch(batch)
        shown = self.site.api("GET", f"/api/v1/batches/{batch}", key=self.site.tenant_key)
        self.assertEqual(float(shown["bid_usd_per_mtok"]), 10.0)


class Requests(ApiCase):
    """What POST /v1/batches may say."""

    def test_bodies(self):
        file_id = self.upload(request(0))
        good = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        cases = [
            ({"endpoint": "/v1/chat/completions"}, "endpoint"),
            ({"endpoint": None}, "endpoint"),
            ({"completion_window": "1h"}, "completion_window"),
            ({"input_file_id": "file-none"}, "input_file_id"),
            ({"input_file_id": 7}, "input_file_id"),
            ({"input_file_id": "../../etc/passwd"}, "input_file_id"),
            ({"metadata": {"a": 1}}, "metadata"),
            ({"metadata": {"k" * 65: "v"}}, "metadata"),
            ({"metadata": {"k": "v" * 513}}, "metadata"),
            ({"metadata": {str(i): "v" for i in range(17)}}, "metadata"),
            ({"metadata": {"sluice.bidd": "0.05"}}, "sluice.bidd"),
            ({"metadata": {"sluice.class": "firm"}}, "sluice.class"),
            ({"unheard_of": 1}, "unheard_of"),
        ]
        for change, said in cases:
            with self.subTest(change=change):
                with self.assertRaises(Refused) as caught:
                    self.site.api("POST", "/v1/batches", {**good, **change}, self.site.tenant_key)
                self.assertEqual(caught.exception.status, 400, caught.exception.body)
                self.assertIn(said, caught.exception.body)
        # 512 characters are not 512 bytes.
        metadata = {"k": "\u00e9" * 512}
        batch = self.site.api("POST", "/v1/batches", {**good, "metadata": metadata}, self.site.tenant_key)
        self.assertEqual(batch["metadata"], metadata)
        with self.assertRaises(Refused) as caught:
            self.site.raw("POST", "/v1/batches", b"x" * (300 * 1024), self.site.tenant_key)
        self.assertEqual(caught.exception.status, 413)

    def test_deadlines(self):
        file_id = self.upload(request(0))
        for deadline in ("2020-01-01T00:00:00Z", "0s", "90", "tomorrow", "-5m", "31d", "9999-01-01T00:00:00Z", "",
                         "2030-01-01", "90m "):
            with self.subTest(deadline=deadline):
                with self.assertRaises(Refused) as caught:
                    self.create(file_id, deadline=deadline)
                self.assertEqual(caught.exception.status, 400, caught.exception.body)
                self.assertIn("sluice.deadline", caught.exception.body)
        now = time.time()
        batch = self.create(file_id, deadline="90m")
        self.assertAlmostEqual(batch["expires_at"], now + 5400, delta=5)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 3600)) + "+00:00"
        self.assertAlmostEqual(self.create(file_id, deadline=at)["expires_at"], now + 3600, delta=5)
        self.assertAlmostEqual(self.create(file_id)["expires_at"], now + 86400, delta=5)

    def test_a_repeated_request_makes_one_batch(self):
        body = {"input_file_id": self.upload(request(0)), "endpoint": "/v1/embeddings", "completion_window": "24h",
                "metadata": {"n": "retry"}}
        first = self.site.api("POST", "/v1/batches", body, self.site.tenant_key)
        again = self.site.api("POST", "/v1/batches", body, self.site.tenant_key,
                              headers={"x-stainless-retry-count": "1"})
        self.assertEqual(first["id"], again["id"])
        other = self.site.api("POST", "/v1/batches", body, self.site.tenant_key)
        self.assertNotEqual(first["id"], other["id"], "a second wish is a second batch")
        key = {"Idempotency-Key": "one"}
        body["metadata"] = {"n": "explicit"}
        first = self.site.api("POST", "/v1/batches", body, self.site.tenant_key, headers=key)
        self.assertEqual(self.site.api("POST", "/v1/batches", body, self.site.tenant_key, headers=key)["id"],
                         first["id"])
        body["metadata"] = {"n": "another"}
        self.refused(400, "idempotency_key_reused", "POST", "/v1/batches", body, headers=key)


class Life(ApiCase):
    options = {"fake_devices": 2, "tenants_extra": "  - id: other\n    default_bid: 10\n"
                                                  "  - id: poor\n    default_bid: 10\n    budget: 0.001\n"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = {name: cls.site.api("POST", "/api/v1/keys", {"tenant": name})["key"] for name in ("other", "poor")}

    def setUp(self):
        self.sluice("resume", "--all")

    def test_create_poll_results(self):
        texts = [f"text number {i}" for i in range(100)]
        file_id = self.upload("\n".join(request(i, text) for i, text in enumerate(texts)))
        batch = self.create(file_id, bid_usd_per_mtok=HIGH)
        self.assertEqual((batch["object"], batch["status"], batch["input_file_id"]), ("batch", "validating", file_id))
        state = self.wait_batch(batch["id"])
        self.assertEqual(state["request_counts"], {"total": 100, "completed": 100, "failed": 0})
        self.assertIsNone(state["errors"])
        self.assertIsNone(state["error_file_id"])
        self.assertTrue(state["created_at"] <= state["in_progress_at"] <= state["finalizing_at"] <= state["completed_at"])
        lines = self.lines(state["output_file_id"])
        self.assertEqual(set(lines), {f"r{i}" for i in range(100)})
        total = 0
        for line in lines.values():
            body = line["response"]["body"]
            self.assertEqual((line["response"]["status_code"], body["object"], body["model"], line["error"]),
                             (200, "list", MODEL, None))
            self.assertEqual(len(body["data"][0]["embedding"]), 384)
            total += body["usage"]["total_tokens"]
        self.assertEqual(state["usage"]["total_tokens"], total)
        stored = self.query("SELECT sum(tokens), sum(amount_nusd) FROM results WHERE batch=?", batch["id"])[0]
        self.assertEqual(stored, (total, total * 1_000_000))  # 1000 USD/Mtok: 1,000,000 nano-USD a token
        shown = self.site.api("GET", f"/api/v1/batches/{batch['id']}", key=self.site.tenant_key)
        self.assertEqual(round(float(shown["billed_usd"]) * 1e9), stored[1])

    def test_one_line_may_hold_several_texts(self):
        state = self.run_batch("\n".join([request(0, ["one", "two words", "three words here"]),
                                          request(1, "two words", encoding_format="base64")]))
        lines = self.lines(state["output_file_id"])
        several = lines["r0"]["response"]["body"]
        self.assertEqual([d["index"] for d in several["data"]], [0, 1, 2])
        self.assertEqual(several["usage"]["total_tokens"], 3 + 4 + 5)
        self.assertIsInstance(lines["r1"]["response"]["body"]["data"][0]["embedding"], str)

    def test_cancel(self):
        batch = self.create(self.upload("\n".join(request(i) for i in range(3000))), bid_usd_per_mtok=HIGH)["id"]
        self.assertTrue(self.site.wait_for(lambda: self.site.batch(batch)["request_counts"]["completed"] > 0, 10, 0.02))
        self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        state = self.wait_batch(batch, "cancelled")
        done = state["request_counts"]["completed"]
        self.assertTrue(0 < done < 3000, state)
        self.assertEqual(len(self.lines(state["output_file_id"])), done)  # finished work is kept
        never = self.lines(state["error_file_id"])
        self.assertEqual(len(never), 3000 - done)
        self.assertTrue(all(line["response"] is None and line["error"]["code"] == "batch_cancelled"
                            for line in never.values()))
        posted = self.query("SELECT count(*) FROM transfers WHERE kind=1 AND ref LIKE ?", batch + "/%")
        self.assertEqual(posted, [(done,)])
        again = self.site.api("POST", f"/v1/batches/{batch}/cancel", key=self.site.tenant_key)
        self.assertEqual(again["status"], "cancelled")  # a repeat changes nothing
        self.refused(404, "not_found", "POST", "/v1/batches/batch_none/cancel")
        self.check_ledger()

    def test_expiry_keeps_what_is_done(self):
        self.sluice("stop", "--all")
        batch = self.create(self.upload("\n".join(request(i) for i in range(50))), deadline="2s")["id"]
        state = self.wait_batch(batch, "expired", 15)
        self.assertEqual(state["request_counts"]["completed"], 0)
        self.assertIsNotNone(state["expired_at"])
        errors = self.lines(state["error_file_id"])
        self.assertEqual({line["error"]["code"] for line in errors.values()}, {"batch_expired"})
        self.assertEqual(len(errors), 50)

    def test_a_budget_is_never_exceeded(self):
        key, self.site.tenant_key = self.site.tenant_key, self.keys["poor"]
        try:
            text = "these are seven short english words here"
            file_id = self.upload("\n".join(request(i, text) for i in range(200)))
            # 10 tokens at 10 USD/Mtok are 0.0001 USD a line: the budget of 0.001 USD pays for ten.
            batch = self.create(file_id, bid_usd_per_mtok="10", deadline="4s")["id"]
            held = self.site.wait_for(lambda: [b["held"] for b in self.site.api(
                "GET", "/api/v1/market", key=self.site.tenant_key)["batches"] if b["held"]], 4, 0.1)
            self.assertEqual(held, ["budget"])  # while it waits, its tenant can see for what
            state = self.wait_batch(batch, "expired", 20)
            spent = self.query("SELECT coalesce(sum(amount_nusd),0) FROM transfers WHERE debit='tenant:poor'")[0][0]
            self.assertLessEqual(spent, 1_000_000)
            self.assertEqual(spent, state["usage"]["total_tokens"] * 10_000)
            self.assertGreater(state["request_counts"]["completed"], 0)
            self.assertLessEqual(state["request_counts"]["completed"], 10)
        finally:
            self.site.tenant_key = key
        self.check_ledger()

    def test_pages(self):
        file_id = self.upload(request(0))
        made = [self.create(file_id, key=None)["id"] for _ in range(5)]
        seen, after, pages = [], "", 0
        while True:
            page = self.site.api("GET", f"/v1/batches?limit=2{after}", key=self.site.tenant_key)
            self.assertEqual((page["object"], type(page["has_more"])), ("list", bool))
            self.assertEqual((page["first_id"], page["last_id"]), (page["data"][0]["id"], page["data"][-1]["id"]))
            seen += [b["id"] for b in page["data"]]
            pages += 1
            if not page["has_more"]:
                break
            after = "&after=" + page["last_id"]
        self.assertEqual(seen[:5], made[::-1], "newest first")
        self.assertEqual(len(seen), len(set(seen)))
        self.assertGreaterEqual(pages, 3)
        for bad in ("limit=0", "limit=101", "limit=x", "limit=-1"):
            self.refused(400, "invalid_value", "GET", "/v1/batches?" + bad)
        for bad in ("limit=0", "limit=10001", "order=up"):
            self.refused(400, "invalid_value", "GET", "/v1/files?" + bad)
        files = self.site.api("GET", "/v1/files?limit=1", key=self.site.tenant_key)
        self.assertEqual(len(files["data"]), 1)
        self.assertTrue(files["has_more"])

    def test_files(self):
        content = request(0) + "\n"
        file_id = self.upload(content)
        shown = self.site.api("GET", f"/v1/files/{file_id}", key=self.site.tenant_key)
        self.assertEqual((shown["bytes"], shown["purpose"], shown["filename"]),
                         (len(content), "batch", "batch.jsonl"))
        self.assertEqual(self.site.raw("GET", f"/v1/files/{file_id}/content", key=self.site.tenant_key).decode(), content)
        batch = self.create(file_id, bid_usd_per_mtok=HIGH)["id"]
        self.wait_batch(batch)
        gone = self.site.api("DELETE", f"/v1/files/{file_id}", key=self.site.tenant_key)
        self.assertEqual((gone["id"], gone["deleted"]), (file_id, True))
        self.refused(404, "not_found", "GET", f"/v1/files/{file_id}")
        self.refused(404, "not_found", "GET", f"/v1/files/{file_id}/content")
        self.refused(404, "not_found", "DELETE", f"/v1/files/{file_id}")
        with self.assertRaises(Refused):
            self.create(file_id)
        self.assertFalse(os.path.exists(self.site.path("broker", "files", file_id)))

    def test_a_running_batch_does_not_need_its_input_file(self):
        self.sluice("stop", "--all")
        file_id = self.upload("\n".join(request(i) for i in range(20)))
        batch = self.create(file_id, bid_usd_per_mtok=HIGH)["id"]
        self.assertTrue(self.site.wait_for(lambda: self.site.batch(batch)["status"] == "in_progress", 10))
        self.site.api("DELETE", f"/v1/files/{file_id}", key=self.site.tenant_key)
        self.sluice("resume", "--all")
        self.assertEqual(self.wait_batch(batch)["request_counts"]["completed"], 20)

    def test_another_tenants_objects_are_not_there(self):
        file_id = self.upload(request(0))
        batch = self.create(file_id)["id"]
        self.wait_batch(batch)
        other = self.keys["other"]
        absent = self.refused(404, "not_found", "GET", "/v1/batches/batch_" + "0" * 24, key=other)
        for method, path in (("GET", f"/v1/batches/{batch}"), ("POST", f"/v1/batches/{batch}/cancel"),
                             ("GET", f"/api/v1/batches/{batch}"), ("POST", f"/api/v1/batches/{batch}/cancel"),
                             ("GET", f"/v1/files/{file_id}"), ("GET", f"/v1/files/{file_id}/content"),
                             ("DELETE", f"/v1/files/{file_id}")):
            said = self.refused(404, "not_found", method, path, key=other)
            if method == "GET" and "/v1/batches/" in path:
                self.assertEqual(said.replace(batch, "X"), absent.replace("batch_" + "0" * 24, "X"))
        self.refused(404, "not_found", "POST", f"/api/v1/batches/{batch}/bid", {"bid_usd_per_mtok": "1"}, key=other)
        with self.assertRaises(Refused) as caught:
            self.create(file_id, key=other)
        self.assertIn("file_not_found", caught.exception.body)
        self.assertEqual(self.site.api("GET", "/v1/batches", key=other)["data"], [])
        self.assertEqual(self.site.api("GET", "/v1/files", key=other)["data"], [])
        market = self.site.api("GET", "/api/v1/market", key=other)
        self.assertEqual(market["batches"], [])

    def test_a_restart_loses_nothing(self):
        self.sluice("stop", "--all")
        batch = self.create(self.upload("\n".join(request(i) for i in range(50))), bid_usd_per_mtok=HIGH)["id"]
        self.assertTrue(self.site.stop("broker"))
        self.site.start_broker()
        self.assertIn("STOPPED", self.sluice("status"), "an order of an operator did not survive")
        self.sluice("resume", "--all")
        self.assertEqual(self.wait_batch(batch)["request_counts"]["completed"], 50)
        self.check_ledger()


OPERATOR_ONLY = [("GET", "/api/v1/" + name) for name in (
    "status", "nodes", "devices", "devices/x", "pools", "switches", "summary", "ledger", "audit", "keys")] + [
    ("POST", "/api/v1/" + name) for name in ("keys", "drain", "resume", "pin", "stop")] + [
    ("DELETE", "/api/v1/keys/key_x")]
TENANT_ONLY = [("POST", "/v1/batches"), ("GET", "/v1/batches"), ("GET", "/v1/batches/x"), ("GET", "/v1/files"),
               ("GET", "/v1/files/x"), ("GET", "/v1/files/x/content"), ("DELETE", "/v1/files/x"),
               ("POST", "/v1/batches/x/cancel")]
OPEN = ("/healthz", "/readyz", "/metrics")


class Access(ApiCase):
    parts = ("broker",)

    def ask(self, method, path, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.http_port, timeout=10)
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", "2")
        connection.endheaders()
        if method == "POST":
            connection.send(b"{}")
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    def test_unknown_missing_and_revoked_keys(self):
        for method, path in OPERATOR_ONLY + TENANT_ONLY + [("GET", "/v1/models"), ("GET", "/api/v1/market")]:
            for key in ("sk-sluice-" + "0" * 64, "x", "sk-sluice-", "\u00e9".encode().decode("latin-1")):
                self.refused(401, "invalid_api_key", method, path, {} if method == "POST" else None, key=key)
            answer, body = self.ask(method, path, {})
            self.assertEqual((answer.status, json.loads(body)["error"]["code"]), (401, "missing_api_key"), path)
            answer, body = self.ask(method, path, {"Authorization": "Basic " + self.site.admin_key})
            self.assertEqual(answer.status, 401)
        made = self.site.api("POST", "/api/v1/keys", {"tenant": "demo", "label": "short-lived"})
        self.site.api("GET", "/v1/batches", key=made["key"])
        self.site.api("DELETE", "/api/v1/keys/" + made["id"])
        self.refused(401, "invalid_api_key", "GET", "/v1/batches", key=made["key"])

    def test_keys_of_the_wrong_kind(self):
        for method, path in OPERATOR_ONLY:
            self.refused(403, "operator_key_required", method, path, {} if method == "POST" else None)
        for method, path in TENANT_ONLY:
            self.refused(403, "tenant_key_required", method, path, {} if method == "POST" else None,
                         key=self.site.admin_key)

    def test_secrets_are_stored_nowhere(self):
        secrets = [self.site.admin_key, self.site.tenant_key]
        self.assertEqual(os.stat(self.site.path("broker", "operator.key")).st_mode & 0o777, 0o600)
        places = [self.site.path("logs", "broker.log"), self.site.store, self.site.store + "-wal"]
        for place in places:
            if os.path.exists(place):
                with open(place, "rb") as f:
                    data = f.read()
                for secret in secrets:
                    self.assertNotIn(secret.encode(), data, place)
                    self.assertNotIn(secret[10:].encode(), data, place)

    def test_making_and_revoking_keys(self):
        for body in ({}, {"tenant": "nobody"}, {"tenant": ""}, {"tenant": 7}, {"tenant": "a b"}, {"role": "king"},
                     {"tenant": "demo", "role": "operator"}, {"tenant": "demo", "label": "l" * 100},
                     {"tenant": "demo", "more": 1}):
            with self.subTest(body=body):
                with self.assertRaises(Refused) as caught:
                    self.site.api("POST", "/api/v1/keys", body)
                self.assertEqual(caught.exception.status, 400)
        operator = [k for k in self.site.api("GET", "/api/v1/keys")["keys"] if k["role"] == "operator"]
        self.assertEqual(len(operator), 1)
        self.refused(409, "last_operator_key", "DELETE", "/api/v1/keys/" + operator[0]["id"], key=self.site.admin_key)
        self.refused(404, "not_found", "DELETE", "/api/v1/keys/key_none", key=self.site.admin_key)

    def test_host_and_origin(self):
        key = {"Authorization": "Bearer " + self.site.admin_key}
        port = self.site.http_port
        for path in OPEN + ("/api/v1/status",):
            for host in ("evil.example", f"evil.example:{port}", "", "127.0.0.1.evil.example", "localhost.evil.example"):
                answer, body = self.ask("GET", path, {**key, "Host": host})
                self.assertIn(answer.status, (400, 403), (path, host, body))
            for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
                answer, _ = self.ask("GET", path, {**key, "Host": host})
                self.assertEqual(answer.status, 200, (path, host))
            for origin in ("https://evil.example", "null", f"http://localhost.evil.example:{port}"):
                answer, body = self.ask("GET", path, {**key, "Origin": origin})
                self.assertEqual((answer.status, json.loads(body)["error"]["code"]), (403, "origin_not_allowed"))
            answer, _ = self.ask("GET", path, {**key, "Origin": f"http://127.0.0.1:{port}"})
            self.assertEqual(answer.status, 200)
        answer, body = self.ask("POST", "/api/v1/stop", {**key, "Origin": "https://evil.example"})
        self.assertEqual(answer.status, 403)
        self.assertFalse(self.site.api("GET", "/api/v1/status")["stopped"])

    def test_addresses_and_methods(self):
        self.refused(404, "unknown_url", "GET", "/v1/nothing")
        self.refused(404, "unknown_url", "GET", "/v1/files/../../etc/passwd")
        self.refused(405, "method_not_allowed", "PUT", "/v1/batches")
        self.refused(404, "not_found", "GET", "/v1/files/..%2f..%2foperator.key/content")
        answer, body = self.ask("GET", "/" + "x" * 3000, {})
        self.assertIn(answer.status, (404, 414))
        self.assertTrue(self.site.healthy())

    def test_every_answer_has_a_request_id(self):
        for path in ("/healthz", "/v1/nothing", "/v1/batches"):
            answer, _ = self.ask("GET", path, {})
            self.assertTrue(answer.getheader("x-request-id"), path)

    def test_metrics_are_prometheus_text(self):
        answer, body = self.ask("GET", "/metrics", {})
        self.assertTrue(answer.getheader("Content-Type").startswith("text/plain"))
        names = set()
        for line in body.splitlines():
            if not line.startswith("#"):
                self.assertRegex(line, r"^[a-z_]+(\{[^{}]*\})? -?[0-9.e+-]+$")
                names.add(line.split("{")[0].split(" ")[0])
        self.assertIn("sluice_http_answers_total", names)
        self.assertTrue(all(name.startswith("sluice_") for name in names), names)


if __name__ == "__main__":
    unittest.main()
