#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write gradients/: a tiny BERT with a pool of modules, and what training it must give.

    tests/golden/make_gradients.py

Run by hand when the reference changes; the result is committed. Needs PyTorch and
NumPy (Debian: python3-torch). Numbers are drawn by Python's own generator, which is
the same everywhere.

gradients/model           the model as Hugging Face stores it, weights in fp16
gradients/pool-*          modules as PEFT stores them: query and value, or all layers
gradients/task            labels and examples
gradients/expected.safetensors   tensors DEVICE.METHOD.NAME, see the functions below
"""

import json
import os
import random
import struct

import numpy
import torch

import adapted_bert

CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
          "hidden_size": 21, "intermediate_size": 37, "layer_norm_eps": 1e-12,
          "max_position_embeddings": 13, "num_attention_heads": 3, "num_hidden_layers": 2,
          "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": 41}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [consonant + vowel for consonant in "bdfgklmn" for vowel in "aeiou"]
POOLS = {"qv": ("attention.self.query", "attention.self.value"), "all": adapted_bert.KINDS}
MODULES = 3
RANK = 4
LORA_RANK = 2
LORA_ALPHA = 3.0
VERA_RANK = 5
VERA_SEED = 7
TEMPERATURE = 0.05
SENTENCE_WORDS = (4, 1, 9, 2, 11, 6)
LABEL_WORDS = (2, 1, 3)


class Draw:
    """Normal random numbers that are exact in fp16."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def normal(self, shape, deviation, mean=0.0):
        """A double tensor."""
        count = int(numpy.prod(shape))
        values = [self.random.gauss(mean, deviation) for _ in range(count)]
        return torch.tensor(values).half().double().reshape(shape)


def write_safetensors(path, tensors, dtype):
    """tensors: {name: tensor}; dtype "F16" or "F32"."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        array = tensor.detach().double().numpy().astype("<f2" if dtype == "F16" else "<f4")
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_json(path, value):
    with open(path, "w", encoding="ascii") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def make_model(draw):
    """{name: tensor} of the whole model."""
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    tensors = {}

    def norm(name):
        tensors[name + ".weight"] = draw.normal((hidden,), 0.2, 1.0)
        tensors[name + ".bias"] = draw.normal((hidden,), 0.1)
    for name, rows in (("word", "vocab_size"), ("position", "max_position_embeddings"),
                       ("token_type", "type_vocab_size")):
        tensors["embeddings.%s_embeddings.weight" % name] = draw.normal((CONFIG[rows], hidden), 0.5)
    norm("embeddings.LayerNorm")
    for path in adapted_bert.layer_paths(CONFIG["num_hidden_layers"]):
        outputs = inner if path.endswith("intermediate.dense") else hidden
        inputs = inner if outputs == hidden and path.endswith(".output.dense") and \
            "attention" not in path else hidden
        tensors[path + ".weight"] = draw.normal((outputs, inputs), 0.25)
        tensors[path + ".bias"] = draw.normal((outputs,), 0.2)
        if path.endswith("output.dense"):
            norm(path[:-len("dense")] + "LayerNorm")
    return tensors


def make_module(draw, tensors, kinds):
    """{path: (A, B)} of one module."""
    module = {}
    for path in adapted_bert.layer_paths(CONFIG["num_hidden_layers"], kinds):
        outputs, inputs = tensors[path + ".weight"].shape
        module[path] = (draw.normal((RANK, inputs), 0.3), draw.normal((outputs, RANK), 0.3))
    return module


def module_config(kinds, number):
    """Every module has another scale: alpha 8, 6 and 4, the last over the root of the rank."""
    return {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "base_model_name_or_path": "",
            "target_modules": list(kinds), "r": RANK, "lora_alpha": 8 - 2 * number,
            "use_rslora": number == 2, "use_dora": False, "bias": "none",
            "fan_in_fan_out": False}


def module_scale(number):
    """Factor of B A."""
    return (8 - 2 * number) / (RANK ** 0.5 if number == 2 else RANK)


def write_module(directory, kinds, number, module):
    os.makedirs(directory, exist_ok=True)
    write_json(os.path.join(directory, "adapter_config.json"), module_config(kinds, number))
    tensors = {}
    for path, (a, b) in module.items():
        tensors["base_model.model.%s.lora_A.weight" % path] = a
        tensors["base_model.model.%s.lora_B.weight" % path] = b
    write_safetensors(os.path.join(directory, "adapter_model.safetensors"), tensors, "F16")


class SplitMix:
    """The runtime's generator, runtime/adapt/random.h, for what it draws and does not save."""

    MASK = (1 << 64) - 1

    def __init__(self, seed, use, part):
        self.state = seed
        self.state = self.next() ^ use
        self.state = self.next() ^ part
        self.state = self.next()

    def next(self):
        self.state = (self.state + 0x9e3779b97f4a7c15) & self.MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & self.MASK
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & self.MASK
        return z ^ z >> 31

    def kaiming(self, rows, columns):
        """A tensor, uniform in +-sqrt(6 / columns)."""
        bound = (6.0 / columns) ** 0.5
        values = [(2.0 * (self.next() >> 40) / (1 << 24) - 1.0) * bound
                  for _ in range(rows * columns)]
        return torch.tensor(values, dtype=torch.double).reshape(rows, columns)


FROZEN_USE = 5  # LF_RANDOM_FROZEN


class Task:
    """Sentences of random words with random labels."""

    def __init__(self, generator):
        vocabulary = SPECIAL + WORDS[:CONFIG["vocab_size"] - len(SPECIAL)]
        words = vocabulary[len(SPECIAL):]
        self.vocabulary = vocabulary
        self.texts = [" ".join(generator.choices(words, k=k)) for k in SENTENCE_WORDS]
        self.label_texts = [" ".join(generator.choices(words, k=k)) for k in LABEL_WORDS]
        self.labels = [at % len(LABEL_WORDS) for at in range(len(self.texts))]

    def ids(self, text):
        return [self.vocabulary.index(token) for token in ["[CLS]"] + text.split() + ["[SEP]"]]

    def write(self, directory):
        os.makedirs(directory, exist_ok=True)
        names = ["label-%d" % at for at in range(len(self.label_texts))]
        write_json(os.path.join(directory, "labels.json"),
                   [{"label": n, "text": t} for n, t in zip(names, self.label_texts)])
        with open(os.path.join(directory, "train.jsonl"), "w", encoding="ascii") as file:
            for text, label in zip(self.texts, self.labels):
                file.write(json.dumps({"text": text, "label": names[label]}) + "\n")


class Golden:
    """Everything that is written, collected case by case."""

    def __init__(self):
        self.draw = Draw(3)
        self.tensors = make_model(self.draw)
        self.task = Task(self.draw.random)
        self.pools = {name: [make_module(self.draw, self.tensors, kinds) for _ in range(MODULES)]
                      for name, kinds in POOLS.items()}
        self.expected = {}

    def bert(self, device):
        return adapted_bert.DeviceBert(CONFIG, self.tensors, adapted_bert.MATRICES[device])

    def embed(self, bert):
        return torch.stack([bert.embed(self.task.ids(text)) for text in self.task.texts])

    def loss(self, bert, device):
        """Mean cross-entropy of the cosine head, and the embeddings: NAME.loss, NAME.embeddings."""
        frozen = self.bert(device)
        labels = torch.stack([frozen.embed(self.task.ids(t)) for t in self.task.label_texts])
        embeddings = self.embed(bert)
        loss = torch.nn.functional.cross_entropy(embeddings @ labels.T / TEMPERATURE,
                                                 torch.tensor(self.task.labels))
        return loss, embeddings

    def backward(self, case, bert, device):
        """.loss, .embeddings; in fp32 with all layers adapted, the gradients to what they read."""
        loss, embeddings = self.loss(bert, device)
        loss.backward()
        self.expected[case + "loss"] = loss.reshape(1)
        self.expected[case + "embeddings"] = embeddings
        if device != "float" or len(bert.adapters) < len(bert.matrices):
            return
        for name, path in (("dx", "encoder.layer.1.attention.self.query"),
                           ("dcontext", "encoder.layer.0.attention.output.dense"),
                           ("dhidden", "encoder.layer.0.intermediate.dense"),
                           ("dactivated", "encoder.layer.0.output.dense")):
            self.expected[case + name] = bert.input_gradient(path)

    def frozen(self, device):
        """DEVICE.frozen.embeddings; .linear.*: a linear head's values, loss and gradients."""
        case = device + ".linear."
        embeddings = self.embed(self.bert(device)).detach().requires_grad_()
        weight = self.draw.normal((len(LABEL_WORDS), CONFIG["hidden_size"]), 1.0).requires_grad_()
        bias = self.draw.normal((len(LABEL_WORDS),), 1.0).requires_grad_()
        loss = torch.nn.functional.cross_entropy(embeddings @ weight.T + bias,
                                                 torch.tensor(self.task.labels))
        loss.backward()
        self.expected.update({
            device + ".frozen.embeddings": embeddings, case + "weight": weight,
            case + "bias": bias, case + "loss": loss.reshape(1),
            case + "weight_gradient": weight.grad, case + "bias_gradient": bias.grad,
            case + "embedding_gradient": embeddings.grad})

    def fusion(self, device, pool, merge, shared=False, plain=False):
        """.coefficients, .magnitudes and their gradients, .norms; layers in their order.

        shared: one coefficient a module for all blocks; plain: no magnitudes and no norms.
        """
        case = "%s.%s-%s%s%s." % (device, pool, merge, "-shared" if shared else "",
                                  "-plain" if plain else "")
        bert = self.bert(device)
        paths = adapted_bert.layer_paths(CONFIG["num_hidden_layers"], POOLS[pool])
        blocks = [self.draw.normal((MODULES,), 0.6).requires_grad_()
                  for _ in range(1 if shared else CONFIG["num_hidden_layers"])]
        for path in paths:
            modules = [(*module[path], module_scale(number))
                       for number, module in enumerate(self.pools[pool])]
            layer = adapted_bert.FusedLayer(bert.matrices[path].values, modules,
                                            merge == "product", adapted_bert.MATRICES[device],
                                            blocks[0 if shared else int(path.split(".")[2])], None)
            if not plain:
                layer.magnitudes = self.stretched(layer.norms)
            bert.adapters[path] = layer
        layers = [bert.adapters[path] for path in paths]
        self.backward(case, bert, device)
        self.expected.update({
            case + "coefficients": torch.cat(blocks),
            case + "coefficient_gradient": torch.cat([c.grad for c in blocks])})
        if not plain:
            self.expected.update({
                case + "magnitudes": torch.cat([layer.magnitudes for layer in layers]),
                case + "magnitude_gradient": torch.cat([layer.magnitudes.grad for layer in layers]),
                case + "norms": torch.cat([layer.norms for layer in layers])})

    def lora(self, device, targets):
        """.a, .b: all A [r, in] and B [out, r] one behind the other, and their gradients."""
        case = "%s.lora-%s." % (device, targets)
        bert = self.bert(device)
        matrices = []
        for path in adapted_bert.layer_paths(CONFIG["num_hidden_layers"], POOLS[targets]):
            outputs, inputs = self.tensors[path + ".weight"].shape
            a = self.draw.normal((LORA_RANK, inputs), 0.3).requires_grad_()
            b = self.draw.normal((outputs, LORA_RANK), 0.3).requires_grad_()
            matrices.append((a, b))
            bert.adapters[path] = adapted_bert.LoraLayer(a, b, LORA_ALPHA / LORA_RANK)
        self.backward(case, bert, device)
        for which, name in enumerate("ab"):
            flat = [pair[which] for pair in matrices]
            self.expected[case + name] = torch.cat([m.reshape(-1) for m in flat])
            self.expected[case + name + "_gradient"] = torch.cat([m.grad.reshape(-1)
                                                                  for m in flat])

    def layers(self, targets):
        """[(path, outputs, inputs)] of the adapted layers."""
        return [(path, *self.tensors[path + ".weight"].shape) for path in
                adapted_bert.layer_paths(CONFIG["num_hidden_layers"], POOLS[targets])]

    def stretched(self, values):
        """Trained values near those a method starts at."""
        drawn = values * self.draw.normal(values.shape, 0.1, 1.0)
        return drawn.float().double().requires_grad_()

    def expect(self, case, groups):
        """CASE.NAME and .NAME_gradient: the tensors of a group one behind the other."""
        for name, tensors in groups.items():
            self.expected[case + name] = torch.cat([t.reshape(-1) for t in tensors])
            self.expected[case + name + "_gradient"] = torch.cat([t.grad.reshape(-1)
                                                                  for t in tensors])

    def placed_lora(self, device, targets):
        """As lora(), with A and scaled B on crossbars."""
        case = "%s.placed-%s." % (device, targets)
        bert = self.bert(device)
        groups = {"a": [], "b": []}
        for path, outputs, inputs in self.layers(targets):
            groups["a"].append(self.draw.normal((LORA_RANK, inputs), 0.3).requires_grad_())
            groups["b"].append(self.draw.normal((outputs, LORA_RANK), 0.3).requires_grad_())
            bert.adapters[path] = adapted_bert.PlacedLoraLayer(
                groups["a"][-1], groups["b"][-1], LORA_ALPHA / LORA_RANK,
                adapted_bert.MATRICES[device])
        self.backward(case, bert, device)
        self.expect(case, groups)

    def dora(self, device, targets):
        """.a, .b, .magnitudes"""
        case = "%s.dora-%s." % (device, targets)
        bert = self.bert(device)
        groups = {"a": [], "b": [], "magnitudes": []}
        for path, outputs, inputs in self.layers(targets):
            groups["a"].append(self.draw.normal((LORA_RANK, inputs), 0.3).requires_grad_())
            groups["b"].append(self.draw.normal((outputs, LORA_RANK), 0.3).requires_grad_())
            layer = adapted_bert.DoraLayer(bert.matrices[path].values, groups["a"][-1],
                                           groups["b"][-1], LORA_ALPHA / LORA_RANK, None)
            layer.magnitudes = self.stretched(layer.norms)
            groups["magnitudes"].append(layer.magnitudes)
            bert.adapters[path] = layer
        self.backward(case, bert, device)
        self.expect(case, groups)

    def magnitude(self, device, targets):
        """.magnitudes"""
        case = "%s.magnitude-%s." % (device, targets)
        bert = self.bert(device)
        groups = {"magnitudes": []}
        for path, _, _ in self.layers(targets):
            layer = adapted_bert.MagnitudeLayer(bert.matrices[path].values, None)
            layer.magnitudes = self.stretched(layer.norms)
            groups["magnitudes"].append(layer.magnitudes)
            bert.adapters[path] = layer
        self.backward(case, bert, device)
        self.expect(case, groups)

    def bitfit(self, device, targets):
        """.biases"""
        case = "%s.bitfit-%s." % (device, targets)
        bert = self.bert(device)
        groups = {"biases": []}
        for path, _, _ in self.layers(targets):
            groups["biases"].append(self.stretched(self.tensors[path + ".bias"]))
            bert.adapters[path] = adapted_bert.BiasLayer(groups["biases"][-1])
        self.backward(case, bert, device)
        self.expect(case, groups)

    def ia3(self, device):
        """.scales, of keys, values and the output layer's input block by block"""
        case = "%s.ia3." % device
        bert = self.bert(device)
        groups = {"scales": []}
        for path, outputs, inputs in self.layers("all"):
            if not path.endswith((".key", ".value", "%s.output.dense" % path.split(".")[2])):
                continue
            of_input = path.endswith("output.dense")
            groups["scales"].append(self.stretched(torch.ones(inputs if of_input else outputs)))
            bert.adapters[path] = adapted_bert.Ia3Layer(groups["scales"][-1], of_input)
        self.backward(case, bert, device)
        self.expect(case, groups)

    def vera(self, device, targets):
        """.d, .b; the matrices are drawn as the runtime draws them"""
        case = "%s.vera-%s." % (device, targets)
        bert = self.bert(device)
        groups = {"d": [], "b": []}
        for path, outputs, inputs in self.layers(targets):
            random_bits = SplitMix(VERA_SEED, FROZEN_USE, inputs << 32 | outputs)
            a = random_bits.kaiming(VERA_RANK, inputs)
            b = random_bits.kaiming(outputs, VERA_RANK)
            groups["d"].append(self.draw.normal((VERA_RANK,), 0.3).requires_grad_())
            groups["b"].append(self.draw.normal((outputs,), 0.3).requires_grad_())
            bert.adapters[path] = adapted_bert.VeraLayer(a, b, groups["d"][-1], groups["b"][-1])
        self.backward(case, bert, device)
        self.expect(case, groups)

    def full(self, device, targets, placed):
        """.weights, .biases; without values, which are the model's: gradients alone"""
        case = "%s.%s-%s." % (device, "replaced" if placed else "full", targets)
        bert = self.bert(device)
        groups = {"weights": [], "biases": []}
        for path, _, _ in self.layers(targets):
            groups["weights"].append(self.tensors[path + ".weight"].clone().requires_grad_())
            groups["biases"].append(self.tensors[path + ".bias"].clone().requires_grad_())
            bert.adapters[path] = adapted_bert.FullLayer(
                groups["weights"][-1], groups["biases"][-1],
                adapted_bert.MATRICES[device] if placed else None)
        self.backward(case, bert, device)
        self.expect(case, groups)
        for name in groups:
            del self.expected[case + name]

    def write(self, directory):
        model = os.path.join(directory, "model")
        os.makedirs(model, exist_ok=True)
        write_json(os.path.join(model, "config.json"), CONFIG)
        write_safetensors(os.path.join(model, "model.safetensors"), self.tensors, "F16")
        with open(os.path.join(model, "vocab.txt"), "w", encoding="ascii") as file:
            file.write("".join(token + "\n" for token in self.task.vocabulary))
        for pool, modules in self.pools.items():
            for number, module in enumerate(modules):
                write_module(os.path.join(directory, "pool-" + pool, "module-%d" % number),
                             POOLS[pool], number, module)
        self.task.write(os.path.join(directory, "task"))
        write_safetensors(os.path.join(directory, "expected.safetensors"), self.expected, "F32")


def main():
    golden = Golden()
    for device in ("float", "ideal"):
        golden.frozen(device)
        for targets in ("qv", "all"):
            for merge in ("sum", "product"):
                golden.fusion(device, targets, merge)
            golden.lora(device, targets)
    for device, targets in (("float", "qv"), ("float", "all"), ("ideal", "all")):
        golden.magnitude(device, targets)
        golden.dora(device, targets)
        golden.bitfit(device, targets)
        golden.vera(device, targets)
    for device in ("float", "ideal"):
        golden.ia3(device)
    golden.full("float", "all", False)
    # In fp32 cells these are what they are on the host.
    golden.placed_lora("ideal", "all")
    golden.full("ideal", "all", True)
    for merge in ("sum", "product"):
        for shared, plain in ((True, False), (False, True), (True, True)):
            golden.fusion("float", "qv", merge, shared, plain)
    golden.write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "gradients"))


if __name__ == "__main__":
    main()
