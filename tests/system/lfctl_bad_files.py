#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input to lfctl: each file is refused whole, by name, and device and folder stay as they were.

Every refusal compares matrices, cells written and wear, and all files, before and after. The tool is the build with
sanitizers where there is one, so a leak is a failure too.
"""

import json
import re
import shutil
import struct
import sys

import ktap
import lfctl_fixture as fixture

LAYER = "encoder.layer.0.output.dense.weight"
PICKLE = b"\x80\x02cposix\nsystem\n."
ZIP = b"PK\x03\x04" + bytes(100)


def changed(bench, what, change):
    """A copy of the model, the pool or the task, changed; only one at a time."""
    copy = bench.folder / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(getattr(bench, what), copy)
    change(copy)
    return copy


def replace(name, content):
    """A change that gives a file other bytes, or removes it."""
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return change


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def refuse_models(*cases):
    """Deploying each changed model is refused; a case is a change and what the message says."""
    with fixture.bench() as bench:
        for change, says in cases:
            model = changed(bench, "model", change)
            bench.refused(lambda *words, **options: fixture.lfctl(
                "deploy", "--model", model, "--pool", bench.pool, "--device", bench.device, **options),
                          says=says)


def config(**fields):
    return replace("config.json", json.dumps(dict(fixture.MODEL_CONFIG, **fields)))


def tensors(change):
    """A model whose tensors are changed, in a file that is sound."""
    made = fixture.model_tensors()
    change(made)
    return replace("model.safetensors", fixture.safetensors(made))


def lie(name, **fields):
    """A model whose header says something else about a tensor."""
    return replace("model.safetensors", fixture.safetensors(
        fixture.model_tensors(), lambda header: header[name].update(fields)))


def test_models_of_another_kind_are_refused():
    t5 = dict(model_type="t5", d_model=32, d_kv=16, d_ff=64, num_heads=2, num_layers=1,
              num_decoder_layers=1, vocab_size=64, relative_attention_num_buckets=8,
              layer_norm_epsilon=1e-6, feed_forward_proj="gated-gelu")
    refuse_models((replace("config.json", json.dumps(t5)), ("config.json", "model_type", "BERT")),
                  (config(model_type="gpt2"), ("config.json", "model_type", "gpt2")))


def test_bad_configurations_are_refused():
    refuse_models((replace("config.json", None), "config.json"),
                  (replace("config.json", "{"), ("config.json", "line 1")),
                  (replace("config.json", "[]"), "must be a JSON object"),
                  (replace("config.json", b"\x80\x02\xff"), "config.json"),
                  (config(hidden_size="32"), "\"hidden_size\" must be an integer"),
                  (config(hidden_size=64), ("embeddings.word_embeddings.weight", "[29, 64]")),
                  (config(num_hidden_layers=1 << 40), "num_hidden_layers"),
                  (config(num_hidden_layers=2), ("encoder.layer.1", "missing")),
                  (config(num_attention_heads=3), "num_attention_heads"),
                  (config(hidden_act="relu"), "activation"))


def test_truncated_and_lying_weights_are_refused():
    name = "model.safetensors"
    refuse_models((replace(name, None), name), (replace(name, b""), "too short"),
                  (cut(name, 100), "truncated"), (cut(name, -4), "outside"),
                  (replace(name, struct.pack("<Q", 1 << 62) + b"{}"), "header length"),
                  (replace(name, struct.pack("<Q", 2) + b"[]"), name),
                  (replace(name, struct.pack("<Q", 9) + b"{\"a\":{}}\xff"), name),
                  (lie(LAYER, shape=[32, 65]), (LAYER, "[32, 65]")),
                  (lie(LAYER, shape=[64, 32]), (LAYER, "expected [32, 64]")),
                  (lie(LAYER, shape=[1 << 40, 1 << 40]), LAYER),
                  (lie(LAYER, data_offsets=[0, 1 << 60]), LAYER),
                  (lie(LAYER, data_offsets=[400, 0]), LAYER),
                  (lie(LAYER, dtype="I64"), LAYER), (lie(LAYER, dtype="F33"), LAYER))


def test_pickles_are_refused_as_such():
    name = "model.safetensors"
    refuse_models((replace(name, ZIP), "pickle"), (replace(name, PICKLE), name))


def test_weights_that_cannot_be_used_are_refused():
    def not_a_number(made):
        made[LAYER][1][5] = float("nan")

    refuse_models((tensors(not_a_number), (LAYER, "element 5", "not finite")),
                  (tensors(lambda made: made.pop(LAYER)), (LAYER, "missing")),
                  (tensors(lambda made: made.pop(LAYER.replace("weight", "bias"))), "bias"),
                  (tensors(lambda made: made.pop("embeddings.LayerNorm.bias")),
                   "embeddings.LayerNorm.bias"))


def test_bad_vocabularies_are_refused():
    refuse_models((replace("vocab.txt", None), "vocab.txt"),
                  (replace("vocab.txt", "word\n"), "[CLS]"),
                  (replace("vocab.txt", "\n".join(fixture.SPECIAL) + "\nword\nword\n"), "repeats"),
                  (replace("vocab.txt", b"\xff\xfe\n"), "vocab.txt:1"),
                  (replace("vocab.txt", "".join(word + "\n" for word in fixture.WORDS + ["more"])),
                   "30 tokens"))


def refuse_pools(*cases):
    with fixture.bench() as bench:
        for change, says in cases:
            pool = changed(bench, "pool", lambda folder: change(folder / "module-1"))
            bench.refused(lambda *words, **options: fixture.lfctl(
                "deploy", "--model", bench.model, "--pool", pool, "--device", bench.device, **options),
                          says=says)


def other(**shape):
    """A module of another shape in the place of the second."""
    return lambda folder: fixture.write_adapter(folder, 7, **shape)


def test_adapters_of_other_shapes_ranks_and_layers_are_refused():
    refuse_pools((other(rank=8), ("module-1", "rank 8", "4")),
                 (other(config={"r": 8}), ("lora_A", "expected [8, 32]")),
                 (other(width=48), ("[4, 48]", "expected [4, 32]")),
                 (other(layers=("key", "value")), ("module-1", "attention.self.key")),
                 (other(layers=("query",)), ("module-1", "1 layers")),
                 (other(layers=("query", "value", "gate")), "gate"),
                 (other(blocks=2), "encoder.layer.1"))


def test_adapters_that_are_no_lora_or_damaged_are_refused():
    name = "adapter_model.safetensors"

    def pickled(folder):
        replace(name, None)(folder)
        replace("adapter_model.bin", PICKLE)(folder)

    refuse_pools((pickled, ("module-1", "pickle")), (replace(name, ZIP), "pickle"),
                 (replace(name, None), name), (cut(name, -1), "outside"),
                 (replace("adapter_config.json", "{}"), "peft_type"),
                 (replace("adapter_config.json", "x"), "adapter_config.json"),
                 (other(config={"peft_type": "LOKR"}), "LOKR"),
                 (other(config={"use_dora": True}), "magnitude"),
                 (other(config={"bias": "all"}), "bias"))


def test_pools_that_are_not_there_are_refused():
    with fixture.bench() as bench:
        bench.refused(bench.deploy, "--modules", "4", says="4 modules wanted, 3 found")
        for pool, says in ((bench.folder / "nowhere", "nowhere"), (bench.out, "no PEFT adapter"),
                           (bench.model / "config.json", "Not a directory")):
            bench.refused(bench.deploy, "--pool", pool, says=says)


def test_full_device_is_refused_before_a_cell_is_written():
    with fixture.bench() as bench:
        for tiles in (1, 4, 13, 19):
            bench.device = "inproc:ideal,tiles=%d,memory=%s" % (tiles, bench.cells)
            bench.refused(bench.deploy, says=("of 10 matrices", "free of %d" % tiles))
            bench.cells.unlink()
        bench.device = "inproc:ideal,tiles=20,memory=%s" % bench.cells
        bench.deploy()


def test_names_that_are_taken_or_no_names_are_refused():
    with fixture.bench(deployed=True) as bench:
        bench.refused(bench.deploy, says=("model.m", "/layer.0", "taken"))
        bench.refused(bench.deploy, "--pool-only", says=("model.p", "taken"))
        for name in ("x" * 20, "a/b", "", "ä"):
            bench.refused(bench.deploy, "--name", name, says="name '%s'" % name)
        bench.deploy("--name", "another")


def refuse_tasks(*cases):
    with fixture.bench(deployed=True) as bench:
        for name, content, says in cases:
            task = changed(bench, "task", replace(name, content))
            bench.refused(bench.train, "--task", task, "--adapter", bench.out / "adapted",
                          "--predictions", bench.out / "predictions", says=(name,) + says)


def example(**fields):
    return json.dumps(fields) + "\n"


def test_bad_examples_are_refused():
    good = example(text="a fig", label="fruit")
    for name in ("train.jsonl", "test.jsonl"):
        refuse_tasks((name, None, ()), (name, b"", ("is empty",)),
                     (name, b"\x00\xff\xfe\x80" * 40, ("binary",)), (name, PICKLE, ()),
                     (name, good + example(text="a", label="wood"), (":2", "\"wood\"")),
                     (name, good + example(text="a"), (":2", "\"label\" is missing")),
                     (name, good + example(label="fruit"), (":2", "\"text\" is missing")),
                     (name, good + example(text="a", label=3), (":2", "\"label\"")),
                     (name, good + example(text=" ", label="fruit"), (":2", "blank")),
                     (name, good + "\n", (":2", "empty")), (name, good + "[]\n", (":2", "object")),
                     (name, good + good[:-5], (":2",)),
                     (name, example(text="a" * 70000, label="fruit"), (":1", "longer")))


def nan_in_module(folder):
    """A module with one number that is none."""
    made = fixture.adapter_tensors(2)
    made["base_model.model.encoder.layer.0.attention.self.value.lora_B.weight"][1][7] = float("nan")
    replace("adapter_model.safetensors", fixture.safetensors(made))(folder)


def mixed_ranks(folder):
    """A module whose layers differ in rank, as rank_pattern allows."""
    made = {name: tensor for rank, layer in ((4, "query"), (8, "value"))
            for name, tensor in fixture.adapter_tensors(2, rank=rank, layers=(layer,)).items()}
    fixture.write_adapter(folder, 2, config={"rank_pattern": {"value": 8}})
    replace("adapter_model.safetensors", fixture.safetensors(made))(folder)


def test_adapters_that_fit_only_in_part_are_refused():
    refuse_pools((nan_in_module, ("module-1", "value.lora_B.weight", "element 7", "not finite")),
                 (mixed_ranks, ("module-1", "value", "rank 8, the pool has 4")),
                 (other(config={"rank_pattern": {"value": 8}}), ("value.lora_A", "expected [8, 32]")),
                 (other(config={"rank_pattern": {"value": "4"}}), "\"value\" must be an integer"),
                 (other(config={"rank_pattern": {"v.*": 4}}), ("rank_pattern", "plain name")),
                 (other(config={"alpha_pattern": {"value": -1}}), "\"value\" is -1"),
                 (other(config={"alpha_pattern": {"value": float("nan")}}), "adapter_config.json"),
                 (other(config={"alpha_pattern": [1]}), "alpha_pattern"),
                 (other(config={"target_modules": ["query", "key", "value"]}),
                  ("self.key.lora_A.weight", "missing")))


def test_an_adapter_alone_may_differ_in_its_layers():
    with fixture.bench(deployed=True) as bench:
        for change in (mixed_ranks, other(layers=("query",)), other(config={"alpha_pattern": {"value": 2}})):
            pool = changed(bench, "pool", lambda folder, make=change: make(folder / "module-1"))
            ktap.equal("lora" in bench.eval("--adapter", pool / "module-1").json()["accuracy"], True)
        pool = changed(bench, "pool", lambda folder: nan_in_module(folder / "module-1"))
        bench.refused(bench.eval, "--adapter", pool / "module-1", says=("element 7", "not finite"))


def test_texts_are_cut_at_the_longest_sentence():
    with fixture.bench(deployed=True) as bench:
        for words in (30, 10000):
            task = changed(bench, "task", replace(
                "test.jsonl", example(text="a " * (words - 1) + "fig", label="fruit")))
            bench.train("--task", task, "--tokens", "32", "--predictions", bench.out / "labels")
            ktap.equal(len((bench.out / "labels").read_text().split()), 1)
    refuse_tasks(("test.jsonl", example(text="melon " * 12000, label="fruit"), (":1", "longer")))


def test_a_class_without_examples_is_no_error():
    with fixture.bench(deployed=True) as bench:
        task = changed(bench, "task", replace("train.jsonl", fixture.lines(fixture.FRUIT[:4], "fruit")))
        for method in (("--method", "lorafusion"), ("--method", "head", "--head", "linear")):
            trained = bench.train("--task", task, *method).json()
            ktap.equal((trained["samples"]["train"], trained["accuracy"]["macro_f1"] <= 1), (8, True))


def test_results_carry_what_made_them():
    with fixture.bench(deployed=True) as bench:
        trained = bench.train("--adapter", bench.out / "a", "--seed", "7", "--steps", "5").json()
        run, recipe = trained["run"], trained["recipe"]
        ktap.equal([run[key] for key in ("seed", "epochs", "batch", "steps", "split", "test_limit")],
                   [7, 2, 4, 5, "test", 0])
        ktap.equal((run["task"], run["name"]), (str(bench.task), "model"))
        ktap.equal((len(run["model"]), len(run["pool"])), (8, 8))
        ktap.equal((recipe["method"], recipe["pool_seed"], recipe["tokens"]), ("lorafusion", 0, 32))
        tested = bench.eval("--adapter", bench.out / "a").json()
        ktap.equal((tested["run"], tested["recipe"]), (run, recipe))


def test_bad_label_lists_are_refused():
    fruit = {"label": "fruit", "text": "fruit"}
    refuse_tasks(("labels.json", None, ()), ("labels.json", "{}", ("array",)),
                 ("labels.json", "[]", ("0 labels",)), ("labels.json", json.dumps([fruit]), ()),
                 ("labels.json", json.dumps([fruit, fruit]), ("\"fruit\"",)),
                 ("labels.json", json.dumps([fruit, {"label": "tool"}]), ("text",)),
                 ("labels.json", b"\x80\x02", ()))


def reseal(bench, path, data):
    """Write an altered adaptation whose checksum is right nevertheless; the tool tells which that is."""
    path.write_bytes(data)
    message = bench.eval("--adapter", path, status=fixture.FAILED).errors
    found = re.search(r"checksum is ([0-9a-f]+), its content has ([0-9a-f]+)", message)
    path.write_bytes(data.replace(*(word.encode() for word in found.groups())))


def test_damaged_adaptations_are_refused():
    with fixture.bench(deployed=True) as bench:
        bench.train("--adapter", bench.out / "good")
        good = (bench.out / "good").read_bytes()
        bad = bench.out / "bad"
        for data, says in ((b"", "too short"), (good[:-8], "outside"), (good + b"x", "bad"),
                           (good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], "checksum"),
                           (PICKLE * 9, "bad"), (ZIP, "pickle"),
                           (fixture.safetensors({"x": ([1], [1.0])}), "checksum")):
            bad.write_bytes(data)
            bench.refused(bench.eval, "--adapter", bad, says=("bad", says))
        (header,) = struct.unpack("<Q", good[:8])
        reseal(bench, bad, good[:8 + header] + struct.pack("<f", float("nan")) + good[12 + header:])
        bench.refused(bench.eval, "--adapter", bad, says=("bad", "element 0", "not finite"))
        for old, new, says in ((b'lorafusion\\"', b'loranuclei\\"', "method"),
                               (b'\\"temperature\\":0.05', b'\\"temperature\\":-0.5', "temperature"),
                               (b'\\"tokens\\":32', b'\\"tokens\\":-2', "range"),
                               (b'\\"recipe\\"', b'\\"recepi\\"', "recipe")):
            ktap.equal((good.count(old) > 0, len(old)), (True, len(new)))
            reseal(bench, bad, good.replace(old, new))
            bench.refused(bench.eval, "--adapter", bad, says=("bad", says))
        bench.refused(bench.eval, "--adapter", bench.pool, says="adapter_model.safetensors")
        bench.refused(bench.eval, "--adapter", bench.out / "nowhere", says="nowhere")


def test_adaptations_are_kept_to_their_pool_and_labels():
    with fixture.bench(deployed=True) as bench:
        bench.train("--adapter", bench.out / "fused")
        bench.train("--method", "head", "--head", "linear", "--adapter", bench.out / "linear")
        pool = changed(bench, "pool", lambda folder: other()(folder / "module-1"))
        bench.refused(bench.eval, "--adapter", bench.out / "fused", "--pool", pool,
                      says="not deployed")
        bench.deploy("--pool-only", "--pool", pool)
        bench.refused(bench.eval, "--adapter", bench.out / "fused", "--pool", pool,
                      says=("fused", "another pool"))
        shutil.rmtree(pool)
        task = changed(bench, "task", lambda folder: replace("labels.json", json.dumps(
            json.loads((folder / "labels.json").read_text())[::-1]))(folder))
        bench.refused(bench.eval, "--adapter", bench.out / "linear", "--task", task,
                      says=("linear", "other labels"))


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
