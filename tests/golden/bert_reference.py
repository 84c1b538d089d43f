# SPDX-License-Identifier: MIT
"""A BERT sentence encoder in double precision, from the files of a model directory.

The reference that the runtime's encoder is compared with. It is written from the
model's definition with PyTorch's own operators and shares no code with the runtime.
Needs PyTorch (Debian: python3-torch) and, for token ids, the `tokenizers` package.
"""

import json
import os
import struct

import torch


def read_tensors(path):
    """{name: float64 tensor} of a safetensors file's F32 tensors."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4,
                                    offset=begin)
            tensors[name] = flat.reshape(entry["shape"]).double()
    return tensors


def read_tokenizer(directory):
    """The model's tokenizer without truncation and padding, from vocab.txt."""
    from tokenizers import BertWordPieceTokenizer
    return BertWordPieceTokenizer(os.path.join(directory, "vocab.txt"), lowercase=True)


class Bert:
    """Token ids of one sentence in, hidden states [tokens, hidden] out."""

    def __init__(self, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        self.tensors = read_tensors(os.path.join(directory, "model.safetensors"))

    def linear(self, x, name):
        """x [tokens, in] to [tokens, out]."""
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x, name):
        """Layer norm over the hidden dimension."""
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.tensors[name + ".weight"],
                                              self.tensors[name + ".bias"],
                                              self.config["layer_norm_eps"])

    def attention(self, x, prefix):
        """Multi-head self-attention before its output layer: [tokens, hidden]."""
        tokens, hidden = x.shape
        heads = self.config["num_attention_heads"]

        def split_heads(y):
            return y.reshape(tokens, heads, hidden // heads).transpose(0, 1)
        query, key, value = (split_heads(self.linear(x, prefix + name))
                             for name in ("query", "key", "value"))
        scores = query @ key.transpose(1, 2) / (hidden // heads) ** 0.5
        return (torch.softmax(scores, -1) @ value).transpose(0, 1).reshape(tokens, hidden)

    def __call__(self, ids):
        """Hidden states of the last layer."""
        x = (self.tensors["embeddings.word_embeddings.weight"][ids] +
             self.tensors["embeddings.position_embeddings.weight"][:len(ids)] +
             self.tensors["embeddings.token_type_embeddings.weight"][0])
        x = self.norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            prefix = "encoder.layer.%d." % layer
            attended = self.linear(self.attention(x, prefix + "attention.self."),
                                   prefix + "attention.output.dense")
            x = self.norm(x + attended, prefix + "attention.output.LayerNorm")
            inner = torch.nn.functional.gelu(self.linear(x, prefix + "intermediate.dense"))
            x = self.norm(x + self.linear(inner, prefix + "output.dense"),
                          prefix + "output.LayerNorm")
        return x

    def embed(self, ids):
        """Sentence embedding [hidden]: mean over all tokens, of length 1."""
        mean = self(ids).mean(0)
        return mean / mean.norm()
