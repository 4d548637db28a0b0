# SPDX-License-Identifier: Apache-2.0
"""Encoder families in F32, F16 and Q8_0 with random weights against a float64 pass, and inputs in all the
forms that OpenAI's API has. SLUICE_FAMILIES=all takes every family in its whole depth and each type."""
import base64
import json
import math
import os
import random
import signal
import struct
import subprocess
import time
import unittest

from sluice_site import MODEL
from support import BUILD, SiteCase

CLS, SEP, A = 2, 3, 5  # of the generator's vocabulary; letters are pieces of their own
VOCAB = 120
# name: layers, width, heads, ff, context, pooling, 1 - cosine at most by type
SMALL, BASE = (384, 12, 1536, 512), (768, 12, 3072, 512)
# "wide": as many numbers as large models have, 8 MiB for a line of 2,048 inputs, and little to compute.
SHORT = {"bge-small": (3, *SMALL, "cls", "q8_0"), "e5-base": (1, *BASE, "mean", "f16"),
         "wide": (1, 1024, 16, 256, 512, "mean", "f16")}
WHOLE = {"bge-small": (12, *SMALL, "cls"), "e5-small": (12, *SMALL, "mean"), "gte-small": (12, *SMALL, "mean"),
         "e5-base": (12, *BASE, "mean"), "gte-base": (12, *BASE, "mean")}
FAR_MAX = {"f32": 1e-4, "f16": 1e-4, "q8_0": 1e-3}
PREFIX = "query: "  # e5's; its pieces are those of the letters, and [UNK] for the colon


def families():
    if os.environ.get("SLUICE_FAMILIES") != "all":
        return SHORT
    return {f"{name}-{kind}": (*shape, kind) for name, shape in WHOLE.items() for kind in FAR_MAX}


def ids_of(text):
    """The generator's vocabulary has each letter as a word's beginning and as its continuation."""
    out = [CLS]
    for word in text.split():
        out += [A + ord(word[0]) - 97] + [A + 26 + ord(c) - 97 for c in word[1:]]
    return out + [SEP]


def distance(a, b):
    na, nb = (math.sqrt(math.fsum(x * x for x in v)) for v in (a, b))
    return math.fsum((x / na - y / nb) ** 2 for x, y in zip(a, b)) / 2


def vector_of(said):
    if not isinstance(said, str):
        return said
    data = base64.b64decode(said, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


class Encoders(SiteCase):
    parts = ("pool", "broker", "agent")
    options = {"split_cpu": 0}

    @classmethod
    def prepared(cls):
        """Each model's file, its entries, and what it answers to some inputs."""
        cls.shapes, cls.wanted, rng = families(), {}, random.Random(20261128)
        cls.inputs = [[CLS, *(rng.randrange(5, VOCAB) for _ in range(n)), SEP] for n in (1, 4, 9)]
        cls.inputs += [ids_of("a dog nods"), ids_of("mixed")]
        entries, offers = "", ""
        for seed, (name, (layers, width, heads, ff, context, pooling, kind)) in enumerate(cls.shapes.items(), 1):
            path = cls.site.path(f"{name}.gguf")
            made = subprocess.run(
                [os.path.join(BUILD, "tests", "e2e", "model_maker"), path, kind,
                 *(str(x) for x in (layers, width, heads, ff, VOCAB, context)), pooling, str(seed)],
                input="\n".join(" ".join(map(str, ids)) for ids in cls.inputs), capture_output=True, text=True,
                check=True)
            cls.wanted[name] = [[float(x) for x in line.split()] for line in made.stdout.splitlines()]
            entries += f"  - id: {name}\n    path: {path}\n    max_tokens: 64\n"
            offers += f"  - id: {name}\n"
            if name == "e5-base":
                offers += f'    input_prefix: "{PREFIX}"\n'
        for file, old, new in (("agent.yaml", "models:\n", "models:\n" + entries),
                               ("broker.yaml", f"models:\n  - id: {MODEL}\n", "models:\n" + offers)):
            with open(cls.site.path(file)) as f:
                text = f.read()
            with open(cls.site.path(file), "w") as f:
                f.write(text.replace(old, new, 1))
        with open(cls.site.path("agent.yaml")) as f:  # MiniLM itself is not needed here
            text = f.read()
        at = text.index(f"  - id: {MODEL}\n")
        with open(cls.site.path("agent.yaml"), "w") as f:
            f.write(text[:at] + text[text.index("launch:"):])

    def submit_lines(self, model, bodies):
        lines = [json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/embeddings",
                             "body": {"model": model, **body}}) for i, body in enumerate(bodies)]
        body = {"input_file_id": self.site.upload("\n".join(lines).encode()), "endpoint": "/v1/embeddings",
                "completion_window": "24h", "metadata": {"sluice.bid_usd_per_mtok": "1000"}}
        return self.site.api("POST", "/v1/batches", body, self.site.tenant_key)["id"]

    def answers(self, batch, count):
        state, out = self.wait_batch(batch), {}
        for file_id in (state["output_file_id"], state["error_file_id"]):
            text = "" if not file_id else self.site.raw("GET", f"/v1/files/{file_id}/content",
                                                        key=self.site.tenant_key).decode()
            for line in filter(None, text.split("\n")):
                said = json.loads(line)
                out[int(said["custom_id"])] = said["response"]
        self.assertEqual(len(out), count)
        return [out[i] for i in range(count)], state

    def run_lines(self, model, bodies):
        return self.answers(self.submit_lines(model, bodies), len(bodies))

    def vectors(self, response):
        self.assertEqual(response["status_code"], 200, response)
        data = response["body"]["data"]
        self.assertEqual([one["index"] for one in data], list(range(len(data))))
        return [vector_of(one["embedding"]) for one in data]

    def test_each_family_is_what_an_independent_pass_says(self):
        """As one array of arrays, each alone, without its special pieces, as base64: always the same."""
        for name, shape in self.shapes.items():
            bare = [ids[1:-1] for ids in self.inputs]
            bodies = [{"input": self.inputs}, {"input": bare, "encoding_format": "base64"},
                      *({"input": ids, "encoding_format": "base64"} for ids in bare)]
            answers, state = self.run_lines(name, bodies)
            tokens = sum(map(len, self.inputs))
            self.assertEqual(state["usage"]["total_tokens"], 3 * tokens)
            self.assertEqual(answers[0]["body"]["usage"], {"prompt_tokens": tokens, "total_tokens": tokens})
            together = self.vectors(answers[0])
            self.assertEqual([len(v) for v in together], [shape[1]] * len(self.inputs))
            for got in (self.vectors(answers[1]), [self.vectors(one)[0] for one in answers[2:]]):
                for one, other in zip(together, got):  # %.9g gives back every float
                    self.assertEqual(struct.pack(f"<{len(one)}f", *one), struct.pack(f"<{len(other)}f", *other))
            far = max(distance(v, w) for v, w in zip(together, self.wanted[name]))
            print(f"{name} {shape[-1]}: {shape[0]} x {shape[1]}, worst 1 - cosine {far:.2g}")
            self.assertLess(far, FAR_MAX[shape[-1]])
        self.check_ledger()

    def test_texts_give_what_their_ids_give(self):
        name = next(iter(self.shapes))
        answers, _ = self.run_lines(name, [{"input": ["a dog nods", "mixed"]}, {"input": "mixed"}])
        vectors = [*self.vectors(answers[0]), *self.vectors(answers[1])]
        for vector, at in zip(vectors, (3, 4, 4)):
            self.assertLess(distance(vector, self.wanted[name][at]), 1e-3)
        self.assertEqual(answers[0]["body"]["usage"]["total_tokens"], len(self.inputs[3]) + len(self.inputs[4]))

    @unittest.skipIf("e5-base" not in families(), "the whole set has no prefix")
    def test_the_operators_prefix_is_billed_and_only_before_texts(self):
        answers, _ = self.run_lines("e5-base", [{"input": "a dog nods"}, {"input": "query: a dog nods"},
                                                {"input": ids_of("a dog nods")}])
        # "query" is five pieces, ":" is [UNK].
        self.assertEqual([one["body"]["usage"]["total_tokens"] for one in answers], [10 + 6, 10 + 12, 10])
        self.assertLess(distance(self.vectors(answers[2])[0], self.wanted["e5-base"][3]), 1e-4)
        self.assertGreater(distance(self.vectors(answers[0])[0], self.wanted["e5-base"][3]), 1e-4)

    def test_bad_ids_fail_their_line_alone(self):
        name = next(iter(self.shapes))
        bodies = [{"input": [5, VOCAB]}, {"input": [[5], [6, -1]]}, {"input": [5] * 63}, {"input": [[5], "x"]},
                  {"input": [[]]}, {"input": [5, 6.5]}, {"input": [5, 6]}]
        answers, _ = self.run_lines(name, bodies)
        said = [(one["status_code"], one["body"].get("error", {}).get("code")) for one in answers]
        self.assertEqual(said, [(400, "invalid_value"), (400, "invalid_value"), (400, "context_length_exceeded"),
                                (400, "invalid_type"), (400, "invalid_value"), (400, "invalid_type"), (200, None)])
        for one in answers[:-1]:
            self.assertEqual(set(one["body"]["error"]), {"message", "type", "param", "code"})
            self.assertEqual(one["body"]["error"]["param"], "input")
        self.assertIn("65 tokens", answers[2]["body"]["error"]["message"])
        self.check_ledger()

    def check_wide(self, response, alone):
        """2,048 inputs of one id each, which come again after 100: bit by bit as in a line of few."""
        self.assertEqual(response["status_code"], 200, response)
        data = response["body"]["data"]
        self.assertEqual([one["index"] for one in data], list(range(2048)))
        for one in data:
            self.assertEqual(one["embedding"], alone[one["index"] % 100]["embedding"])
        self.assertEqual(response["body"]["usage"], {"prompt_tokens": 3 * 2048, "total_tokens": 3 * 2048})

    @unittest.skipIf("wide" not in families(), "the whole set runs long enough")
    def test_a_line_of_2048_inputs_whatever_the_width(self):
        """6 and 8 MiB of vectors, which come in several messages (agent/core/parts.c)."""
        for name in ("e5-base", "wide"):
            bodies = [{"input": [[5 + i % 100] for i in range(n)], "encoding_format": "base64"}
                      for n in (2048, 100, 2047, 1)]
            answers, state = self.run_lines(name, bodies)
            self.check_wide(answers[0], answers[1]["body"]["data"])
            self.assertEqual([len(self.vectors(one)) for one in answers], [2048, 100, 2047, 1])
            self.assertEqual(state["usage"]["total_tokens"], 3 * (2048 + 100 + 2047 + 1))
        for device in self.site.devices():
            self.assertEqual((device["health"], device["trouble"]), ("ok", None))
        self.check_ledger()

    @unittest.skipIf("wide" not in families(), "the whole set runs long enough")
    def test_kill_9_in_the_middle_of_wide_lines(self):
        """The broker stands still while the agent sends, so that only what the sockets hold of a line is there
        when the agent is killed; then the broker is killed. Each line comes once and is billed once."""
        wide = {"input": [[5 + i % 100] for i in range(2048)], "encoding_format": "base64"}
        few = {"input": wide["input"][:100], "encoding_format": "base64"}
        batch = self.submit_lines("wide", [few] + [wide] * 6)
        self.assertTrue(self.site.wait_for(
            lambda: self.site.batch(batch)["request_counts"]["completed"] > 0, 60, 0.02))
        self.site.kill("broker", signal.SIGSTOP)
        time.sleep(3)
        self.site.kill("agent")
        self.site.kill("broker", signal.SIGCONT)
        self.site.start_agent()
        self.site.wait_for(lambda: self.site.batch(batch)["request_counts"]["completed"] > 2, 60, 0.02)
        self.site.kill("broker")
        time.sleep(1)
        self.site.start_broker()
        answers, state = self.answers(batch, 7)
        for one in answers[1:]:
            self.check_wide(one, answers[0]["body"]["data"])
        self.assertEqual(state["usage"]["total_tokens"], 3 * (100 + 6 * 2048))
        self.check_ledger()

    def test_z_a_file_that_is_swapped_under_the_agent_changes_nothing(self):
        """Rewritten in place, then cut short (a SIGBUS for whoever has it mapped), then gone."""
        name = next(iter(self.shapes))
        path, lines = self.site.path(f"{name}.gguf"), [{"input": self.inputs}] * 3
        before, _ = self.run_lines(name, lines)
        with open(path, "r+b") as f:
            f.seek(4096)
            f.write(bytes(os.path.getsize(path) - 4096))
        for step in (lambda: None, lambda: os.truncate(path, 100), lambda: os.unlink(path)):
            step()
            after, _ = self.run_lines(name, lines)
            self.assertEqual([one["body"]["data"] for one in after], [one["body"]["data"] for one in before])
        self.site.check_alive("agent")
        with open(self.site.path("logs", "agent.log")) as f:
            log = f.read
            self.assertTrue(self.site.wait_for(lambda: (f.seek(0), "model.changed" in log())[1], 20, 0.2))
            f.seek(0)
            self.assertIn(f"model={name} {path} is ", log())


if __name__ == "__main__":
    unittest.main()
