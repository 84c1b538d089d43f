# SPDX-License-Identifier: MIT
"""What the tests of lfctl share: a tiny model, pool and task made on the fly, and running the tool.

Nothing is downloaded: the weights are drawn by a fixed seed, so every machine makes the same bytes.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile

import ktap

BUILD = pathlib.Path(os.environ.get("LF_BUILD", os.path.join(ktap.SOURCE, "build")))


def pick_tool():
    """The build with sanitizers where it is up to date: what it finds ends it with a status of its own."""
    plain, checked = BUILD / "bin" / "lfctl", BUILD / "asan" / "bin" / "lfctl"
    if checked.exists() and checked.stat().st_mtime >= plain.stat().st_mtime:
        return checked
    return plain


LFCTL = pick_tool()

OK, FAILED, USAGE, NO_DEVICE, PERMISSION, DEVICE_ERROR, VERIFICATION = range(7)

HIDDEN, INNER, BLOCKS, HEADS, POSITIONS, RANK, MODULES = 32, 64, 1, 2, 32, 4, 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FRUIT = ["apple", "pear", "plum", "cherry", "grape", "melon", "lemon", "fig"]
TOOLS = ["hammer", "saw", "drill", "wrench", "chisel", "plane", "file", "awl"]
WORDS = SPECIAL + FRUIT + TOOLS + ["fruit", "tool", "a", "the", "ripe", "sharp", "red", "old"]
TARGETS = ("query", "value")
# Tiles enough for the model and its pool, and little to map and to look through.
DEVICE = "inproc:ideal,tiles=256"


def floats(values):
    return struct.pack("<%df" % len(values), *values)


def safetensors(tensors, change=None):
    """Bytes of a safetensors file of {name: (shape, values)}; `change` may lie in the header."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        raw = floats(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    if change:
        change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def model_tensors():
    draw = random.Random(1)
    tensors = {}

    def add(name, *shape, ones=False):
        count = 1
        for extent in shape:
            count *= extent
        tensors[name] = (list(shape), [1.0] * count if ones else
                         [draw.uniform(-0.3, 0.3) for _ in range(count)])

    def linear(name, outputs, inputs):
        add(name + ".weight", outputs, inputs)
        add(name + ".bias", outputs)

    def norm(name):
        add(name + ".weight", HIDDEN, ones=True)
        add(name + ".bias", HIDDEN)

    add("embeddings.word_embeddings.weight", len(WORDS), HIDDEN)
    add("embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    add("embeddings.token_type_embeddings.weight", 2, HIDDEN)
    norm("embeddings.LayerNorm")
    for block in range(BLOCKS):
        layer = "encoder.layer.%d." % block
        for part in ("query", "key", "value"):
            linear(layer + "attention.self." + part, HIDDEN, HIDDEN)
        linear(layer + "attention.output.dense", HIDDEN, HIDDEN)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", INNER, HIDDEN)
        linear(layer + "output.dense", HIDDEN, INNER)
        norm(layer + "output.LayerNorm")
    return tensors


MODEL_CONFIG = {"model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": BLOCKS,
                "num_attention_heads": HEADS, "intermediate_size": INNER, "vocab_size": len(WORDS),
                "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
                "layer_norm_eps": 1e-12, "hidden_act": "gelu"}


def write_model(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(MODEL_CONFIG))
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in WORDS))
    (folder / "model.safetensors").write_bytes(safetensors(model_tensors()))


def adapter_tensors(seed, rank=RANK, width=HIDDEN, layers=TARGETS, blocks=BLOCKS):
    draw = random.Random(seed)
    tensors = {}
    for block in range(blocks):
        for layer in layers:
            path = "base_model.model.encoder.layer.%d.attention.self.%s." % (block, layer)
            for part, shape in (("lora_A", [rank, width]), ("lora_B", [width, rank])):
                tensors[path + part + ".weight"] = (shape, [draw.uniform(-0.2, 0.2)
                                                            for _ in range(shape[0] * shape[1])])
    return tensors


def write_adapter(folder, seed, config=None, **shape):
    folder.mkdir(parents=True, exist_ok=True)
    rank = shape.get("rank", RANK)
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none",
                "target_modules": list(shape.get("layers", TARGETS))}
    settings.update(config or {})
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(adapter_tensors(seed, **shape)))


def write_pool(folder, modules=MODULES, **shape):
    for number in range(modules):
        write_adapter(folder / ("module-%d" % number), number + 1, **shape)


def lines(words, label):
    return "".join(json.dumps({"text": "a %s %s" % (adjective, word), "label": label}) + "\n"
                   for word in words for adjective in ("ripe", "old"))


def write_task(folder):
    folder.mkdir(parents=True)
    (folder / "labels.json").write_text(json.dumps([{"label": "fruit", "text": "fruit"},
                                                    {"label": "tool", "text": "tool"}]))
    for split, part in (("train", slice(0, 4)), ("validation", slice(4, 6)), ("test", slice(4, 8))):
        (folder / (split + ".jsonl")).write_text(lines(FRUIT[part], "fruit") +
                                                 lines(TOOLS[part], "tool"))


class Run:
    """How a call of the tool ended."""

    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors

    def json(self):
        return json.loads(self.output)

    def __repr__(self):
        return "status %d\nstdout: %s\nstderr: %s" % (self.status, self.output, self.errors)


def lfctl(*words, status=OK, **options):
    """Run the tool; the exit status must be the one expected."""
    run = subprocess.run([str(LFCTL), *map(str, words)], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=300,
                         encoding="utf-8", errors="replace", **options)
    result = Run(run.returncode, run.stdout, run.stderr)
    if run.returncode != status:
        raise AssertionError("lfctl %s: expected status %d\n%r" % (" ".join(map(str, words)),
                                                                   status, result))
    return result


class Bench:
    """A folder with a model, a pool, a task, and a device whose cells are a file there."""

    def __init__(self, folder):
        self.folder = folder
        self.model, self.pool, self.task = folder / "model", folder / "pool", folder / "task"
        self.cells, self.out = folder / "cells.img", folder / "out"
        write_model(self.model)
        write_pool(self.pool)
        write_task(self.task)
        self.out.mkdir()
        self.device = "%s,memory=%s" % (DEVICE, self.cells)

    def state(self):
        """What a refusal must leave as it was: the matrices, and what the cells have seen."""
        total = lfctl("telemetry", "--device", self.device, "--json").json()
        listed = lfctl("matrix", "list", "--device", self.device, "--json").json()
        return (listed["matrices"], total["total"]["cells_written"], total["wear_max"],
                total["wear_histogram"], total["tiles_used"])

    def files(self):
        """Every file but the cells, with what it holds."""
        return {path: path.read_bytes() if path.is_file() else None
                for path in sorted(self.folder.rglob("*")) if path != self.cells}

    def deploy(self, *words, **options):
        return lfctl("deploy", "--model", self.model, "--pool", self.pool, "--device", self.device,
                     "--json", *words, **options)

    def train(self, *words, **options):
        return lfctl("train", "--model", self.model, "--pool", self.pool, "--task", self.task,
                     "--device", self.device, "--epochs", "2", "--batch", "4", "--json", *words,
                     **options)

    def eval(self, *words, **options):
        return lfctl("eval", "--model", self.model, "--pool", self.pool, "--task", self.task,
                     "--device", self.device, "--json", *words, **options)

    def refused(self, call, *words, status=FAILED, says=(), **options):
        """Call must fail with a message that holds all of `says`, print no result and change nothing."""
        before = self.state()
        files = self.files()
        run = call(*words, status=status, **options)
        ktap.equal(run.output, "")
        for text in (says,) if isinstance(says, str) else says:
            if str(text) not in run.errors:
                raise AssertionError("no %r in %r" % (str(text), run.errors))
        ktap.equal(self.files(), files)
        ktap.equal(self.state(), before)
        return run


@contextlib.contextmanager
def bench(deployed=False):
    """A Bench in a folder of its own, removed at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lfctl-"))
    try:
        made = Bench(folder)
        if deployed:
            made.deploy("--quiet")
        yield made
    finally:
        shutil.rmtree(folder)
