#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of tools/data/encoder: what it refuses, and the model directory it leaves.

No test downloads anything; the last one looks at the model that set-up has fetched.
"""

import importlib.machinery
import importlib.util
import io
import json
import os
import struct
import sys
import tempfile
import zipfile

import ktap

FOLDER = os.path.join(ktap.SOURCE, "tools", "data")
sys.path.insert(0, FOLDER)

import bert_files
import cache


def load_script():
    """The encoder script as a module; it has no .py in its name."""
    loader = importlib.machinery.SourceFileLoader("encoder", os.path.join(FOLDER, "encoder"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("encoder", loader))
    loader.exec_module(module)
    return module


ENCODER = load_script()
CONFIG = {"model_type": "bert", "hidden_size": 8, "intermediate_size": 16,
          "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 10,
          "max_position_embeddings": 4, "type_vocab_size": 2}


def header_of(shapes):
    """A safetensors header for shapes and the size of its data in bytes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4
        for extent in shape:
            end = begin + (end - begin) * extent
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    return header, end


def write_model(directory, config=None, header=None, size=None, words=10):
    """A tiny model directory, zeros for weights."""
    config = CONFIG if config is None else config
    made, end = header_of(bert_files.expected_shapes(CONFIG))
    text = json.dumps(made if header is None else header).encode()
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    with open(os.path.join(directory, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text +
                   bytes(end if size is None else size))
    with open(os.path.join(directory, "vocab.txt"), "w", encoding="utf-8") as file:
        file.write("".join("word%d\n" % n for n in range(words)))


def refusal(**changes):
    """Message with which a changed tiny model is refused."""
    with tempfile.TemporaryDirectory() as directory:
        write_model(directory, **changes)
        return ktap.fails(bert_files.BertFilesError, bert_files.check, directory)


def test_tiny_model_is_accepted():
    with tempfile.TemporaryDirectory() as directory:
        write_model(directory)
        ktap.equal(bert_files.check(directory)["hidden"], 8)


def test_bad_config_is_refused():
    assert "model_type" in refusal(config=dict(CONFIG, model_type="t5"))
    assert "model_type" in refusal(config=[])
    assert "hidden_size" in refusal(config={k: v for k, v in CONFIG.items()
                                            if k != "hidden_size"})
    assert "num_hidden_layers" in refusal(config=dict(CONFIG, num_hidden_layers=-1))
    assert "num_hidden_layers" in refusal(config=dict(CONFIG, num_hidden_layers=True))
    assert "vocab_size" in refusal(config=dict(CONFIG, vocab_size=1 << 40))
    assert "num_attention_heads" in refusal(config=dict(CONFIG, num_attention_heads=3))


def test_bad_tensors_are_refused():
    whole, _ = header_of(bert_files.expected_shapes(CONFIG))
    name = "encoder.layer.1.attention.self.query.weight"
    assert name in refusal(header={k: v for k, v in whole.items() if k != name})
    assert name in refusal(header=dict(whole, **{name: dict(whole[name], shape=[8, 9])}))
    assert name in refusal(header=dict(whole, **{name: dict(whole[name],
                                                            data_offsets=[8, 4])}))
    assert name in refusal(header=dict(whole, **{name: dict(whole[name],
                                                            data_offsets=[0, 1 << 60])}))
    assert name in refusal(header=dict(whole, **{name: "x"}))
    assert name in refusal(header=dict(whole, **{name: {"dtype": "F32"}}))
    assert "object" in refusal(header=[1])
    assert "entry" in refusal(size=100)
    assert "vocab.txt" in refusal(words=9)


def test_lying_header_length_is_refused():
    for data in (b"", b"\x01\x02", struct.pack("<Q", 1 << 62) + b"{}",
                 struct.pack("<Q", 3) + b"{}", struct.pack("<Q", 2) + b"\x80\x02"):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "model.safetensors")
            with open(path, "wb") as file:
                file.write(data)
            ktap.fails(bert_files.BertFilesError, bert_files.read_header, path)


def test_archive_with_other_bytes_is_refused():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in ENCODER.FILES:
            archive.writestr("model/" + name, "other bytes")
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(data) as archive:
        message = ktap.fails(ENCODER.EncoderError, ENCODER.copy_files, archive, "model/",
                             directory)
        assert "sha256" in message, message
        ktap.equal(os.listdir(directory), [])


def test_archive_without_a_file_is_refused():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../../etc/evil", "x")
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(data) as archive:
        message = ktap.fails(ENCODER.EncoderError, ENCODER.copy_files, archive, "", directory)
        assert "config.json" in message, message
        ktap.equal(os.listdir(directory), [])


def test_vocabulary_is_made_from_the_tokenizer():
    made = ENCODER.vocabulary_of(json.dumps({"model": {"vocab": {"b": 1, "a": 0, "##c": 2}}}))
    ktap.equal(made, b"a\nb\n##c\n")
    ktap.fails(ENCODER.EncoderError, ENCODER.vocabulary_of,
               json.dumps({"model": {"vocab": {"a": 0, "b": 2}}}))


def test_fetched_model_is_the_right_one():
    directory = os.path.join(cache.directory(), "encoder")
    if not os.path.isdir(directory):
        raise ktap.Skip("the encoder has not been fetched")
    ktap.equal(ENCODER.wrong_files(directory), [])
    ktap.equal(bert_files.check(directory),
               {"layers": 6, "hidden": 384, "heads": 12, "vocabulary": 30522,
                "parameters": 22565376})


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
