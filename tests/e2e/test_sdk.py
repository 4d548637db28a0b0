# SPDX-License-Identifier: Apache-2.0
"""The official openai package against the real binaries, with exact token counts."""
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


def request(i, text):
    return json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/embeddings",
                       "body": {"model": MODEL, "input": text}})


SDK_SCRIPT = textwrap.dedent("""
    import json, sys, time
    import openai
    from openai import OpenAI
    from openai.types import CreateEmbeddingResponse
    client = OpenAI()  # key and address from the environment, as any user has it
    with open(sys.argv[1], "rb") as f:
        uploaded = client.files.create(file=f, purpose="batch")
    uploaded = client.files.wait_for_processing(uploaded.id)
    batch = client.batches.create(input_file_id=uploaded.id, endpoint="/v1/embeddings",
                                  completion_window="24h", metadata={"sluice.bid_usd_per_mtok": "1000"})
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    text = client.files.content(batch.output_file_id).text
    for line in text.splitlines():
        CreateEmbeddingResponse.model_validate(json.loads(line)["response"]["body"])
    with open(sys.argv[2], "w") as f:
        f.write(text)
    listed = [b.id for b in client.batches.list(limit=1)]
    models = [m.id for m in client.models.list()]
    try:
        client.batches.retrieve("batch_none")
        not_found = False
    except openai.NotFoundError as e:
        not_found = bool(e.request_id)
    client.files.delete(uploaded.id)
    print(json.dumps({"version": openai.__version__, "batch": batch.model_dump(), "listed": listed,
                      "models": models, "not_found": not_found}))
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
        """Texts of the tokenizer's fixture with the number of tokens that HuggingFace gives them."""
        texts = []
        with open(os.path.join(ROOT, "tests", "fixtures", "models", "wordpiece.txt")) as f:
            for line in f:
                text, _, ids = line.strip().partition(" ")
                if text not in ("-",) and not line.startswith("#") and ids.count(",") < 256:
                    texts.append((bytes.fromhex(text).decode(), ids.count(",") + 1))
        return texts

    def test_create_upload_poll_download(self):
        texts = self.wanted_tokens()
        self.assertGreater(len(texts), 250)
        source, target = os.path.join(self.out, "sdk.jsonl"), os.path.join(self.out, "sdk-out.jsonl")
        with open(source, "w") as f:
            f.write("\n".join(request(i, text) for i, (text, _) in enumerate(texts)))
        done = subprocess.run(
            [os.path.join(self.venv.name, "bin", "python"), "-c", SDK_SCRIPT, source, target],
            capture_output=True, text=True, timeout=180,
            env={**os.environ, "OPENAI_API_KEY": self.site.tenant_key, "OPENAI_BASE_URL": self.site.url + "/v1"})
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        said = json.loads(done.stdout)
        batch = said["batch"]
        self.assertEqual(batch["status"], "completed", batch)
        self.assertEqual(batch["request_counts"], {"total": len(texts), "completed": len(texts), "failed": 0})
        self.assertIn(batch["id"], said["listed"])
        self.assertEqual(said["models"], [MODEL])
        self.assertTrue(said["not_found"])
        with open(target) as f:
            lines = {line["custom_id"]: line["response"]["body"] for line in map(json.loads, f)}
        self.assertEqual(len(lines), len(texts))
        for i, (text, tokens) in enumerate(texts):
            body = lines[f"r{i}"]
            self.assertEqual(body["usage"], {"prompt_tokens": tokens, "total_tokens": tokens}, repr(text))
            vector = body["data"][0]["embedding"]
            self.assertEqual(len(vector), 384)
            self.assertAlmostEqual(sum(x * x for x in vector), 1.0, places=4)
        self.assertEqual(batch["usage"]["total_tokens"], sum(tokens for _, tokens in texts))
        self.check_ledger()


if __name__ == "__main__":
    unittest.main()
