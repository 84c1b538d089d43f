# SPDX-License-Identifier: MIT
"""What a BERT model directory must hold: config, tensors and vocabulary that agree.

Headers only; no tensor is loaded. Where the directory comes from is the
business of the `encoder` script.
"""

import json
import os
import struct

HEADER_BYTES_MAX = 100_000_000


class BertFilesError(Exception):
    """Names the file and the field that is wrong."""


def read_config(directory):
    """config.json as a dict, with the fields that set tensor shapes checked."""
    path = os.path.join(directory, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (OSError, ValueError) as error:
        raise BertFilesError("%s: %s" % (path, error)) from error
    if not isinstance(config, dict) or config.get("model_type") != "bert":
        raise BertFilesError("%s: model_type is not bert" % path)
    for field in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size",
                  "num_attention_heads", "max_position_embeddings", "type_vocab_size"):
        value = config.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1 << 20:
            raise BertFilesError("%s: %s: %r is not a size" % (path, field, value))
    if config["hidden_size"] % config["num_attention_heads"]:
        raise BertFilesError("%s: num_attention_heads does not divide hidden_size" % path)
    return config


def read_header(path):
    """Tensor table of a safetensors file: {name: {dtype, shape, data_offsets}}."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            if len(start) < 8:
                raise BertFilesError("%s: shorter than its header length" % path)
            length = struct.unpack("<Q", start)[0]
            if length > min(HEADER_BYTES_MAX, size - 8):
                raise BertFilesError("%s: header length %d is past the end" % (path, length))
            header = json.loads(file.read(length))
    except (OSError, ValueError) as error:
        raise BertFilesError("%s: %s" % (path, error)) from error
    if not isinstance(header, dict):
        raise BertFilesError("%s: header is not an object" % path)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        try:
            begin, end = entry["data_offsets"]
            lies = not 0 <= begin <= end <= size - 8 - length or not isinstance(entry["shape"], list)
        except (TypeError, KeyError, ValueError):
            lies = True
        if lies:
            raise BertFilesError("%s: %s: its entry is not one of this file" % (path, name))
    return header


def expected_shapes(config):
    """Shapes that the encoder reads, [out, in] for linear layers."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": [config["vocab_size"], hidden],
        "embeddings.position_embeddings.weight": [config["max_position_embeddings"], hidden],
        "embeddings.token_type_embeddings.weight": [config["type_vocab_size"], hidden],
        "embeddings.LayerNorm.weight": [hidden],
        "embeddings.LayerNorm.bias": [hidden],
    }
    linears = (("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden),
               ("attention.self.value", hidden, hidden),
               ("attention.output.dense", hidden, hidden),
               ("intermediate.dense", inner, hidden), ("output.dense", hidden, inner))
    for layer in range(config["num_hidden_layers"]):
        prefix = "encoder.layer.%d." % layer
        for name, rows, columns in linears:
            shapes[prefix + name + ".weight"] = [rows, columns]
            shapes[prefix + name + ".bias"] = [rows]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[prefix + name + ".weight"] = [hidden]
            shapes[prefix + name + ".bias"] = [hidden]
    return shapes


def check(directory):
    """Check a model directory; returns its sizes, raises BertFilesError."""
    config = read_config(directory)
    path = os.path.join(directory, "model.safetensors")
    header = read_header(path)
    parameters = 0
    for name, shape in expected_shapes(config).items():
        entry = header.get(name) or header.get("bert." + name)
        if entry is None:
            raise BertFilesError("%s: %s is missing" % (path, name))
        if entry["shape"] != shape:
            raise BertFilesError("%s: %s has shape %s, config.json says %s"
                                 % (path, name, entry["shape"], shape))
        count = 1
        for extent in shape:
            count *= extent
        parameters += count
    path = os.path.join(directory, "vocab.txt")
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            words = sum(1 for _ in file)
    except (OSError, ValueError) as error:
        raise BertFilesError("%s: %s" % (path, error)) from error
    if words != config["vocab_size"]:
        raise BertFilesError("%s: %d words, config.json says %d"
                             % (path, words, config["vocab_size"]))
    return {"layers": config["num_hidden_layers"], "hidden": config["hidden_size"],
            "heads": config["num_attention_heads"], "vocabulary": words,
            "parameters": parameters}
