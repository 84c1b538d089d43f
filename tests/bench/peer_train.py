#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The peer of bench_train.c: the same training step and the same embedding in PyTorch, in fp32.

Both are measured here in turns, a few steps of the one and a few of the other, so that whatever else the machine does meets both;
a row has the fastest step of each. The peak memory is what the processes took at most; `peak_memory.torch` is what PyTorch's
libraries alone take of it.

The modules of a layer are stacked, as in the runtime, and the norms come from terms computed once, so that no dense change of a
weight is made in a step. The build from PyPI, with its own libraries of matrix products, is installed once in the cache folder, which
takes some gigabytes; where that fails the distribution's is the peer. The rows say which.
"""

import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import time

CACHE = pathlib.Path(os.environ.get("LF_CACHE") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "lorafusion"))
ENVIRONMENT = CACHE / "torch"
REQUIREMENT = "torch==2.15.0"


def enter_environment():
    """Go on in an environment with the build from PyPI, made where there is none; without, stay with the distribution's."""
    python = ENVIRONMENT / "bin" / "python"
    if pathlib.Path(sys.prefix) == ENVIRONMENT:
        return
    if not (ENVIRONMENT / "complete").exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        try:
            subprocess.run(["/usr/bin/python3", "-m", "venv", ENVIRONMENT], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                            "--only-binary", ":all:", REQUIREMENT], check=True)
        except subprocess.CalledProcessError:
            print("peer_train.py: %s cannot be installed; the distribution's PyTorch is the peer" % REQUIREMENT,
                  file=sys.stderr)
            return
        (ENVIRONMENT / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


if __name__ == "__main__":
    enter_environment()

# Threads that wait by spinning take the processor from one another when others use the machine too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# pylint: disable=wrong-import-position
import torch

LIBRARIES_MIB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
MODULES, RANK, CLASSES, THREADS = 20, 16, 10, 2
SHAPES = ((16, 64), (1, 32))
ROUNDS, STEPS, SECONDS = 5, 5, 60
TEMPERATURE = 0.05
TARGETS = ("query", "value")


def read_tensors(path):
    """{name: fp32 tensor} of a safetensors file; bert_reference.py's are double, which would count as the peer's memory."""
    data = bytearray(pathlib.Path(path).read_bytes())
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, end = entry["data_offsets"]
            flat = torch.frombuffer(data, dtype=torch.float32, count=(end - first) // 4,
                                    offset=begin + first)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


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
        self.tensors = read_tensors(os.path.join(directory, "model.safetensors"))
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


class Peer:
    """A batch of one shape: its training step and its embedding."""

    def __init__(self, sentences, tokens):
        self.model = Model(CACHE / "encoder")
        self.ids = torch.randint(1000, 21000, (sentences, tokens))
        self.labels = torch.arange(sentences) % CLASSES
        with torch.no_grad():
            self.classes = self.model(torch.randint(1000, 21000, (CLASSES, 5)))
        magnitudes = [layer.magnitudes for layer in self.model.fused.values()]
        self.optimiser = torch.optim.Adam([
            {"params": list(self.model.coefficients), "lr": 0.02, "weight_decay": 1e-5},
            {"params": magnitudes, "lr": 0.005}])

    def train(self):
        coefficients = self.model.coefficients
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            self.model(self.ids) @ self.classes.T / TEMPERATURE, self.labels)
        for layer in coefficients:
            loss = loss + 0.0005 * layer.abs().mean() / len(coefficients)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def infer(self):
        self.model(self.ids)


class Ours:
    """bench_train, that does what it is told while nothing else here runs."""

    def __init__(self, sentences, tokens):
        program = pathlib.Path(os.environ["LF_BUILD"]) / "bench" / "bench_train"
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([program, "--serve", str(sentences), str(tokens)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("peer_train.py: bench_train has ended")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def fastest_ms(step):
    """Time of the fastest of a turn's steps."""
    times = []
    for _ in range(STEPS):
        begin = time.monotonic()
        step()
        times.append((time.monotonic() - begin) * 1e3)
    return min(times)


def in_turns(word, ours, step):
    """Fastest steps of both; a machine that is slow at it gets fewer turns."""
    values, peers, begin = [], [], time.monotonic()
    while len(values) < ROUNDS and (not values or time.monotonic() - begin < SECONDS):
        values.append(ours.ask(word))
        peers.append(fastest_ms(step))
    return min(values), min(peers)


def peer_name():
    """PyTorch with the library of its matrix products, which decides what it takes."""
    if torch.backends.mkl.is_available():
        return "PyTorch %s fp32, MKL" % torch.__version__
    with open("/proc/self/maps", encoding="utf-8") as file:
        maps = file.read()
    names = (("openblas", "OpenBLAS"), ("libblas", "reference BLAS"))
    blas = [name for part, name in names if part in maps]
    return "PyTorch %s fp32, %s" % (torch.__version__, blas[0] if blas else "own BLAS")


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    name = peer_name()

    def row(what, unit, value, peer_value):
        print(json.dumps({"name": what, "unit": unit, "value": value, "peer": name,
                          "peer_value": round(peer_value, 3)}), flush=True)
    # The larger shape first: its memory is the peak.
    for sentences, tokens in SHAPES:
        ours, peer = Ours(sentences, tokens), Peer(sentences, tokens)
        shape = "b%dt%d" % (sentences, tokens)
        row("train_step.lorafusion." + shape, "ms", *in_turns("train", ours, peer.train))
        row("infer." + shape, "ms", *in_turns("infer", ours, peer.infer))
        if (sentences, tokens) == SHAPES[0]:
            row("peak_memory." + shape, "MiB", ours.ask("memory"),
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            row("peak_memory.torch", "MiB", None, LIBRARIES_MIB)
        if ours.close():
            raise SystemExit("peer_train.py: bench_train has failed")


if __name__ == "__main__":
    main()
