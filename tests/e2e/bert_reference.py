# SPDX-License-Identifier: Apache-2.0
"""Tokens and vectors of texts, computed without any of our code: HuggingFace's tokenizer and a float64
forward pass of BERT.

    bert_reference.py MODEL_DIR TEXTS ANSWERS

MODEL_DIR holds tokenizer.json, config.json and model.safetensors. TEXTS is a JSON list of texts. ANSWERS
becomes a JSON list of {"tokens": n, "vector": [...]}; the vector is null for what the model cannot take.
Needs numpy and tokenizers: test_accuracy.py runs it in an environment of its own.
"""
import json
import math
import os
import struct
import sys

import numpy as np
from tokenizers import Tokenizer

ROWS = 1024  # tokens that go through the dense layers together, unless one text has more
GELU_ROWS = 64  # small enough to stay in a cache

# numpy has no erf: its third-order expansion around the nearest of these points is exact to 1e-15.
ERF_MAX, ERF_PER_ONE = 6.0, 4096
ERF_X = np.arange(-int(ERF_MAX) * ERF_PER_ONE, int(ERF_MAX) * ERF_PER_ONE + 1) / ERF_PER_ONE
ERF = np.array([math.erf(x) for x in ERF_X])
ERF_SLOPE = 2 / math.sqrt(math.pi) * np.exp(-ERF_X * ERF_X)


def erf(x):
    x = np.clip(x, -ERF_MAX, ERF_MAX)
    at = np.rint((x + ERF_MAX) * ERF_PER_ONE).astype(np.int32)
    near = ERF_X[at]
    d = x - near
    return ERF[at] + ERF_SLOPE[at] * d * (1 - d * (near - d * (2 * near * near - 1) / 3))


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, end = (8 + size + offset for offset in entry["data_offsets"])
            out[name] = np.frombuffer(data[first:end], "<f4").reshape(entry["shape"])
    return out


class Bert:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.longest, self.epsilon = config["max_position_embeddings"], config["layer_norm_eps"]
        weights = read_safetensors(os.path.join(folder, "model.safetensors"))
        self.words = weights.pop("embeddings.word_embeddings.weight")  # the largest: widened by row
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def dense(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attention(self, query, key, value):
        """Of one text: rows are tokens."""
        def split(x):
            return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)
        query, key, value = split(query), split(key), split(value)
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[2])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        return (scores @ value).transpose(1, 0, 2).reshape(query.shape[1], -1)

    @staticmethod
    def gelu(x):
        for at in range(0, len(x), GELU_ROWS):
            part = x[at:at + GELU_ROWS]
            part *= 0.5 * (1 + erf(part * math.sqrt(0.5)))
        return x

    def embed(self, texts):
        """Texts as ids -> unit vectors. The texts lie one behind the other, without padding."""
        weights = self.weights
        cuts = np.cumsum([len(ids) for ids in texts])[:-1]
        x = self.words[np.concatenate(texts)] + weights["embeddings.token_type_embeddings.weight"][0]
        x += np.concatenate([weights["embeddings.position_embeddings.weight"][:len(ids)] for ids in texts])
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(self.layers):
            layer = f"encoder.layer.{i}."
            parts = [np.split(self.dense(x, layer + "attention.self." + which), cuts)
                     for which in ("query", "key", "value")]
            seen = np.concatenate([self.attention(*one) for one in zip(*parts)])
            x = self.norm(x + self.dense(seen, layer + "attention.output.dense"),
                          layer + "attention.output.LayerNorm")
            inner = self.gelu(self.dense(x, layer + "intermediate.dense"))
            x = self.norm(x + self.dense(inner, layer + "output.dense"), layer + "output.LayerNorm")
        means = np.array([part.mean(0) for part in np.split(x, cuts)])
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def packs(lengths):
    """Runs of indices with at most ROWS tokens each."""
    run, rows = [], 0
    for i, length in lengths:
        if run and rows + length > ROWS:
            yield run
            run, rows = [], 0
        run.append(i)
        rows += length
    if run:
        yield run


def main(folder, source, target):
    with open(source, encoding="utf-8") as f:
        texts = json.load(f)
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = [tokenizer.encode(text).ids for text in texts]
    bert = Bert(folder)
    answers = [{"tokens": len(one), "vector": None} for one in ids]
    for run in packs((i, len(one)) for i, one in enumerate(ids) if len(one) <= bert.longest):
        for i, vector in zip(run, bert.embed([ids[i] for i in run])):
            answers[i]["vector"] = vector.tolist()
    with open(target, "w") as f:
        json.dump(answers, f)


if __name__ == "__main__":
    main(*sys.argv[1:])
