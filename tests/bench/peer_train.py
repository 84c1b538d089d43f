#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The peer of bench_train.c: the same training step and the same embedding in PyTorch, in fp32.

The modules of a layer are stacked, as in the runtime, and the norms come from terms computed
once, so that no dense change of a weight is made in a step.
"""

import json
import os
import sys
import time

# Threads that wait by spinning take the processor from one another when others use the machine too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# pylint: disable=wrong-import-position
import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import bert_reference

MODULES, RANK, BATCH, TOKENS, CLASSES, THREADS = 20, 16, 16, 64, 10, 2
WARM_STEPS, STEPS, SECONDS = 3, 15, 30
TEMPERATURE = 0.05
TARGETS = ("query", "value")


class FusedLayer(torch.nn.Module):
    """Query or value of a block: frozen weight, stacked modules, trained magnitudes."""

    def __init__(self, weight, bias, coefficients):
        super().__init__()
        outputs, inputs = weight.shape
        self.weight, self.bias, self.coefficients = weight, bias, coefficients
        self.a = torch.randn(MODULES * RANK, inputs) * 0.02
        self.b = torch.randn(outputs, MODULES * RANK) * 0.02
        a = self.a.reshape(MODULES, RANK, inputs)
        b = self.b.reshape(outputs, MODULES, RANK)
        rows = torch.einsum("oik,ikx->oix", b, a)
        self.base = (weight * weight).sum(1)
        self.cross = torch.einsum("ox,oix->oi", weight, rows)
        self.gram = torch.einsum("oix,ojx->oij", rows, rows).reshape(outputs, -1)
        self.magnitudes = torch.nn.Parameter(self.norms())

    @torch.no_grad()
    def norms(self):
        """Row norms of the fused weight at the present coefficients."""
        c = self.coefficients
        return torch.sqrt(self.base + 2 * self.cross @ c + self.gram @ torch.outer(c, c).flatten())

    def forward(self, x):
        z = (x @ self.a.T).unflatten(-1, (MODULES, RANK))
        fused = (self.coefficients[:, None] * z).flatten(-2)
        h = x @ self.weight.T + fused @ self.b.T
        return self.magnitudes / self.norms() * h + self.bias


class Model(torch.nn.Module):
    """The encoder over a batch of sentences of one length."""

    def __init__(self, directory):
        super().__init__()
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        tensors = bert_reference.read_tensors(os.path.join(directory, "model.safetensors"))
        self.tensors = {name: tensor.float() for name, tensor in tensors.items()}
        layers = self.config["num_hidden_layers"]
        bound = (6 / (MODULES + layers)) ** 0.5
        self.coefficients = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.empty(MODULES).uniform_(-bound, bound))
             for _ in range(layers)])
        self.fused = torch.nn.ModuleDict()
        for layer in range(layers):
            for target in TARGETS:
                prefix = "encoder.layer.%d.attention.self.%s" % (layer, target)
                self.fused["%d-%s" % (layer, target)] = FusedLayer(
                    self.tensors[prefix + ".weight"], self.tensors[prefix + ".bias"],
                    self.coefficients[layer])

    def linear(self, x, name):
        return torch.nn.functional.linear(x, self.tensors[name + ".weight"],
                                          self.tensors[name + ".bias"])

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.tensors[name + ".weight"],
                                              self.tensors[name + ".bias"],
                                              self.config["layer_norm_eps"])

    def attention(self, x, layer):
        heads = self.config["num_attention_heads"]
        prefix = "encoder.layer.%d.attention.self." % layer

        def split_heads(y):
            return y.unflatten(-1, (heads, y.shape[-1] // heads)).transpose(1, 2)
        query = split_heads(self.fused["%d-query" % layer](x))
        key = split_heads(self.linear(x, prefix + "key"))
        value = split_heads(self.fused["%d-value" % layer](x))
        scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5)
        return (torch.softmax(scores, -1) @ value).transpose(1, 2).flatten(2)

    def forward(self, ids):
        """ids [batch, tokens] to unit vectors [batch, hidden]."""
        x = (self.tensors["embeddings.word_embeddings.weight"][ids] +
             self.tensors["embeddings.position_embeddings.weight"][:ids.shape[1]] +
             self.tensors["embeddings.token_type_embeddings.weight"][0])
        x = self.norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            prefix = "encoder.layer.%d." % layer
            attended = self.linear(self.attention(x, layer), prefix + "attention.output.dense")
            x = self.norm(x + attended, prefix + "attention.output.LayerNorm")
            inner = torch.nn.functional.gelu(self.linear(x, prefix + "intermediate.dense"))
            x = self.norm(x + self.linear(inner, prefix + "output.dense"),
                          prefix + "output.LayerNorm")
        return torch.nn.functional.normalize(x.mean(1), dim=-1)


def fastest_ms(step):
    """Time of the fastest step; a machine that is slow at it gets fewer steps."""
    times = []
    while len(times) < WARM_STEPS + STEPS and sum(times) < SECONDS * 1e3:
        begin = time.monotonic()
        step()
        times.append((time.monotonic() - begin) * 1e3)
    return min(times)


def peer_name():
    """PyTorch with the library of its matrix products, which decides what it takes."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        maps = file.read()
    names = (("libmkl", "MKL"), ("openblas", "OpenBLAS"), ("libblas", "reference BLAS"))
    blas = [name for part, name in names if part in maps]
    return "PyTorch %s fp32, %s" % (torch.__version__, blas[0] if blas else "own BLAS")


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    cache = os.environ.get("LF_CACHE") or os.path.expanduser("~/.cache/lorafusion")
    model = Model(os.path.join(cache, "encoder"))
    ids = torch.randint(1000, 21000, (BATCH, TOKENS))
    labels = torch.arange(BATCH) % CLASSES
    with torch.no_grad():
        classes = model(torch.randint(1000, 21000, (CLASSES, 5)))
    magnitudes = [layer.magnitudes for layer in model.fused.values()]
    optimiser = torch.optim.Adam([
        {"params": list(model.coefficients), "lr": 0.02, "weight_decay": 1e-5},
        {"params": magnitudes, "lr": 0.005}])

    def train():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(ids) @ classes.T / TEMPERATURE, labels)
        for coefficients in model.coefficients:
            loss = loss + 0.0005 * coefficients.abs().mean() / len(model.coefficients)
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def embed():
        model(ids)
    for name, step in (("train_step.lorafusion.b16t64", train), ("infer.b16t64", embed)):
        print(json.dumps({"name": name, "unit": "ms", "peer": peer_name(),
                          "peer_value": round(fastest_ms(step), 3)}))


if __name__ == "__main__":
    main()
