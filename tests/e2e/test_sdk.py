# SPDX-License-Identifier: Apache-2.0
"""The official openai package against the real binaries, with exact token counts."""
import array
import base64
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from sluice_site import MODEL
from support import SiteCase

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def request(i, text, **more):
    return json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/embeddings",
                       "body": {"model": MODEL, "input": text, **more}})


def floats(said):
    """Of base64 as the SDK itself does without numpy, array.array("f", base64.b64decode(data)); or of numbers."""
    return array.array("f", base64.b64decode(said) if isinstance(said, str) else said)


SDK_SCRIPT = textwrap.dedent("""
    import array, base64, json, sys, time
    import openai
    from openai import OpenAI
    from openai.types import CreateEmbeddingResponse
    client = OpenAI()  # key and address from the environment, as any user has it
    with open(sys.argv[1], "rb") as f:
        uploaded = client.files.create(file=f, purpose="batch")
    uploaded = client.files.wait_for_processing(uploaded.id)
    batch = client.batches.create(input_file_id=uploaded.id, endpoint="/v1/embeddings",
                                  completion_window="24h", metadata={"sluice.bid_usd_per_mtok": "1000"},
                                  output_expires_after={"anchor": "created_at", "seconds": 7200})
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    output = client.files.retrieve(batch.output_file_id)
    text = client.files.content(batch.output_file_id).text
    for line in text.splitlines():
        body = json.loads(line)["response"]["body"]
        for one in body["data"]:
            if isinstance(one["embedding"], str):  # what the SDK itself does with the base64 that it asks for
                one["embedding"] = array.array("f", base64.b64decode(one["embedding"])).tolist()
        CreateEmbeddingResponse.model_validate(body)
    with open(sys.argv[2], "w") as f:
        f.write(text)
    listed = [b.id for b in client.batches.list(limit=1)]
    models = [m.id for m in client.models.list()]
    try:
        client.batches.retrieve("batch_none")
        not_found = False
    except openai.NotFoundError as e:
        not_found = bool(e.request_id)
    refused = []  # who comes from OpenAI tries these first
    for ask in (lambda: client.embeddings.create(model=models[0], input="x"),
                lambda: client.chat.completions.create(model=models[0], messages=[{"role": "user", "content": "x"}])):
        try:
            ask()
        except openai.NotFoundError as e:
            refused.append(e.message)
    client.files.delete(uploaded.id)
    print(json.dumps({"version": openai.__version__, "batch": batch.model_dump(), "listed": listed,
                      "models": models, "not_found": not_found, "refused": refused,
                      "output_life_s": output.expires_at - output.created_at}))
""")


class Sdk(SiteCase):
    """The official openai package, unchanged, on this machine's OpenCL devices."""

    @classmethod
    def setUpClass(cls):
        cls.venv = tempfile.TemporaryDirectory(prefix="sluice-sdk-")
        cls.addClassCleanup(cls.venv.cleanup)
        for command in ([sys.executable, "-m", "venv", cls.venv.name],
                        [os.path.join(cls.venv.name, "bin", "pip"), "install", "-q", "openai"]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise unittest.SkipTest("the openai package could not be installed: "
                                        + (done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
        super().setUpClass()

    @staticmethod
    def wanted_tokens():
        """Texts of the tokenizer's fixture with the ids that HuggingFace gives them."""
        texts = []
        with open(os.path.join(ROOT, "tests", "fixtures", "models", "wordpiece.txt")) as f:
            for line in f:
                text, _, ids = line.strip().partition(" ")
                if text not in ("-",) and not line.startswith("#") and ids.count(",") < 256:
                    texts.append((bytes.fromhex(text).decode(), [int(x) for x in ids.split(",")]))
        return texts

    @staticmethod
    def forms(texts):
        """Each text as text; its ids as base64, with and without their frame; and all ids in a few lines."""
        lines = [request(i, text) for i, (text, _) in enumerate(texts)]
        for i, (_, ids) in enumerate(texts):
            framed = len(ids) > 2 and (ids[1] == 101 or ids[-2] == 102)  # the text itself says [CLS] or [SEP]
            bare = ids[1:-1] if len(ids) > 2 and i % 2 and not framed else ids
            lines.append(request(f"t{i}", bare, encoding_format="base64"))
        for at in range(0, len(texts), 100):
            lines.append(request(f"all{at}", [ids for _, ids in texts[at:at + 100]], encoding_format="base64"))
        return lines

    def test_create_upload_poll_download(self):
        texts = self.wanted_tokens()
        self.assertGreater(len(texts), 250)
        forms = self.forms(texts)
        source, target = os.path.join(self.out, "sdk.jsonl"), os.path.join(self.out, "sdk-out.jsonl")
        with open(source, "w") as f:
            f.write("\n".join(forms))
        done = subprocess.run(
            [os.path.join(self.venv.name, "bin", "python"), "-c", SDK_SCRIPT, source, target],
            capture_output=True, text=True, timeout=180,
            env={**os.environ, "OPENAI_API_KEY": self.site.tenant_key, "OPENAI_BASE_URL": self.site.url + "/v1"})
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        said = json.loads(done.stdout)
        batch = said["batch"]
        self.assertEqual(batch["status"], "completed", batch)
        self.assertEqual(batch["request_counts"], {"total": len(forms), "completed": len(forms), "failed": 0})
        self.assertIn(batch["id"], said["listed"])
        self.assertEqual(said["models"], [MODEL])
        self.assertTrue(said["not_found"])
        self.assertEqual(said["output_life_s"], 7200)
        self.assertEqual(len(said["refused"]), 2, said)
        for message in said["refused"]:
            self.assertIn("POST /v1/batches", message)
        with open(target) as f:
            lines = {line["custom_id"]: line["response"]["body"] for line in map(json.loads, f)}
        self.assertEqual(len(lines), len(forms))
        for i, (text, ids) in enumerate(texts):
            usage, tokens = {"prompt_tokens": len(ids), "total_tokens": len(ids)}, lines[f"rt{i}"]
            self.assertEqual(lines[f"r{i}"]["usage"], usage, repr(text))
            self.assertEqual(tokens["usage"], usage, repr(text))
            self.assertIsInstance(tokens["data"][0]["embedding"], str)
            vector = floats(lines[f"r{i}"]["data"][0]["embedding"])
            self.assertEqual(len(vector), 384)
            self.assertAlmostEqual(sum(x * x for x in vector), 1.0, places=4)
            self.assertEqual(vector, floats(tokens["data"][0]["embedding"]), repr(text))  # to the bit
            among = lines[f"rall{i - i % 100}"]["data"][i % 100]
            self.assertEqual((among["index"], floats(among["embedding"])), (i % 100, vector))
        self.assertEqual(batch["usage"]["total_tokens"], 3 * sum(len(ids) for _, ids in texts))
        self.check_ledger()


if __name__ == "__main__":
    unittest.main()
