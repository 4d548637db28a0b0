#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""onnxruntime as a partner of tests/bench/embed: python3 embed_onnx.py FOLDER [THREADS]

FOLDER is a HuggingFace folder of a bert encoder (config.json, model.safetensors). The graph is built here
from plain operators and left to onnxruntime's own optimiser (ORT_ENABLE_ALL); texts go in length-sorted
batches of 32, padded to the longest of the batch, which is what sentence-transformers does.
Needs the Python packages onnx, onnxruntime, numpy and safetensors.
"""
import json
import os
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

BATCH = 32


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.made = weights, [], {}, 0

    def op(self, kind, *inputs, **attributes):
        self.made += 1
        out = f"t{self.made}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def linear(self, x, name):
        w = self.constant(name + ".wt", self.weights[name + ".weight"].T)
        return self.op("Add", self.op("MatMul", x, w), self.constant(name + ".b", self.weights[name + ".bias"]))

    def norm(self, x, name, eps):
        return self.op("LayerNormalization", x, self.constant(name + ".w", self.weights[name + ".weight"]),
                       self.constant(name + ".b", self.weights[name + ".bias"]), axis=-1, epsilon=eps)


def build(folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    weights = {k.removeprefix("bert."): v for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}
    heads, width = config["num_attention_heads"], config["hidden_size"]
    g = Graph(weights)
    eps = config["layer_norm_eps"]
    split = g.constant("split", np.array([0, 0, heads, width // heads], np.int64))
    join = g.constant("join", np.array([0, 0, width], np.int64))
    mask = g.op("Cast", "mask", to=TensorProto.FLOAT)
    one, low = g.constant("one", np.float32(1)), g.constant("low", np.float32(-1e9))
    bias = g.op("Unsqueeze", g.op("Mul", g.op("Sub", one, mask), low), g.constant("axes", np.array([1, 2])))
    tables = "embeddings."
    x = g.op("Gather", g.constant("words", weights[tables + "word_embeddings.weight"]), "ids")
    spots = g.op("Gather", g.constant("spots", weights[tables + "position_embeddings.weight"]), "positions")
    kind = g.constant("kind", weights[tables + "token_type_embeddings.weight"][0])
    x = g.norm(g.op("Add", g.op("Add", x, kind), spots), tables + "LayerNorm", eps)
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        parts = [g.op("Transpose", g.op("Reshape", g.linear(x, p + "attention.self." + n), split), perm=perm)
                 for n, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))]
        root = g.constant(f"root{i}", np.float32((width // heads) ** 0.5))
        scores = g.op("Add", g.op("Div", g.op("MatMul", parts[0], parts[1]), root), bias)
        mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), parts[2])
        mixed = g.op("Reshape", g.op("Transpose", mixed, perm=[0, 2, 1, 3]), join)
        x = g.norm(g.op("Add", g.linear(mixed, p + "attention.output.dense"), x), p + "attention.output.LayerNorm",
                   eps)
        up = g.linear(x, p + "intermediate.dense")
        root2, half = g.constant(f"root2{i}", np.float32(2 ** 0.5)), g.constant(f"half{i}", np.float32(0.5))
        erf = g.op("Add", g.op("Erf", g.op("Div", up, root2)), g.constant(f"one{i}", np.float32(1)))
        gelu = g.op("Mul", g.op("Mul", up, erf), half)
        x = g.norm(g.op("Add", g.linear(gelu, p + "output.dense"), x), p + "output.LayerNorm", eps)
    g.nodes[-1].output[0] = "hidden"
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "t"]) for n in ("ids", "positions", "mask")]
    output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["b", "t", width])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def embed(session, lengths):
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    out = [None] * len(lengths)
    for at in range(0, len(order), BATCH):
        part = order[at:at + BATCH]
        longest = lengths[part[0]]
        mask = np.zeros((len(part), longest), np.int64)
        for row, i in enumerate(part):
            mask[row, :lengths[i]] = 1
        positions = np.broadcast_to(np.arange(longest), mask.shape)
        ids = (positions * 7919 + 1000) % 30000 * mask
        hidden = session.run(None, {"ids": ids, "positions": positions, "mask": mask})[0]
        sums = (hidden * mask[:, :, None]).sum(1)
        sums /= np.linalg.norm(sums, axis=1, keepdims=True)
        for row, i in enumerate(part):
            out[i] = sums[row]
    return out


def main():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
    model = build(sys.argv[1])
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    print(f"onnxruntime {onnxruntime.__version__}, {options.intra_op_num_threads} threads\nready", flush=True)
    sets = {}
    for line in sys.stdin:
        verb, name, *lengths = line.split()
        if verb == "set":
            sets[name] = [int(n) for n in lengths]
        elif verb == "run":
            begin = time.perf_counter()
            embed(session, sets[name])
            print(f"{time.perf_counter() - begin:.6f} {len(sets[name])} {sum(sets[name])}", flush=True)


if __name__ == "__main__":
    main()
