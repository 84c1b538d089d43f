# SPDX-License-Identifier: MIT
"""Makes peft/: adapters of the tiny model in gradients/ as PEFT writes them, and the sentence embeddings PEFT gets with them.

peft/CASE                   an adapter
peft/outputs.safetensors    tensors CASE: [sentences][hidden] for the texts of gradients/task/train.jsonl
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

import peft_models

FOLDER = pathlib.Path(__file__).resolve().parent
TINY = FOLDER / "gradients"
GOLDENS = FOLDER / "peft"

CASES = {
    "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["query", "value"]},
    "lora-all": {"r": 3, "lora_alpha": 2, "target_modules": ["query", "key", "value", "dense"]},
    "dora": {"r": 2, "lora_alpha": 4, "target_modules": ["query", "value"], "use_dora": True},
    "dora-all": {"r": 3, "lora_alpha": 5, "target_modules": ["query", "key", "value", "dense"],
                 "use_dora": True},
    "dora-block": {"r": 3, "lora_alpha": 5, "target_modules": ["query", "value"], "use_dora": True,
                   "layers_to_transform": [1]},
    "rslora": {"r": 4, "lora_alpha": 6, "target_modules": ["query", "value"], "use_rslora": True},
    "expression": {"r": 2, "lora_alpha": 4, "target_modules": r".*layer\.0.*\.(query|dense)"},
    "patterns": {"r": 3, "lora_alpha": 6, "target_modules": ["query", "key", "value"],
                 "rank_pattern": {"query": 1, "layer.1.attention.self.value": 5},
                 "alpha_pattern": {"key": 2, "layer.0.attention.self.value": 9}},
    "patterns-rslora-dora": {"r": 2, "lora_alpha": 3, "target_modules": ["query", "value"],
                             "rank_pattern": {"value": 4}, "alpha_pattern": {"query": 7},
                             "use_rslora": True, "use_dora": True},
}


def sentences():
    """Token ids of the task's texts; every word is one of the vocabulary."""
    words = (TINY / "model" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    number = {word: at for at, word in enumerate(words)}
    texts = [json.loads(line)["text"] for line in
             (TINY / "task" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    return [[number["[CLS]"], *(number[word] for word in text.split()), number["[SEP]"]]
            for text in texts]


def module_tensors(number):
    """{(block, projection, "A" or "B"): tensor} of a module of pool-qv, its scale in B."""
    folder = TINY / "pool-qv" / ("module-%d" % number)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config["use_rslora"] else config["r"])
    tensors = load_file(folder / "adapter_model.safetensors")
    found = {}
    for name, tensor in tensors.items():
        words = name.split(".")
        part = words[-2][-1]
        found[int(words[words.index("layer") + 1]), words[-3], part] = \
            tensor.double() * (scale if part == "B" else 1.0)
    return found


def fold(merge):
    """What fold must write for the LoRAFusion of gradients/expected.safetensors, as a model of PEFT."""
    expected = load_file(TINY / "expected.safetensors")
    modules = [module_tensors(number) for number in range(3)]
    rank = len(modules[0][0, "query", "A"])
    coefficients = expected["float.qv-%s.coefficients" % merge].double().reshape(2, len(modules))
    magnitudes = expected["float.qv-%s.magnitudes" % merge].double().reshape(4, -1)
    folded = rank * len(modules) if merge == "sum" else rank
    config = LoraConfig(r=folded, lora_alpha=folded, use_dora=True, lora_dropout=0.0,
                        target_modules=["query", "value"])
    model = get_peft_model(peft_models.bert(TINY / "model"), config).double()
    for block in range(2):
        for place, projection in enumerate(("query", "value")):
            c = coefficients[block]
            a = [module[block, projection, "A"] for module in modules]
            b = [module[block, projection, "B"] for module in modules]
            layer = getattr(model.base_model.model.encoder.layer[block].attention.self, projection)
            with torch.no_grad():
                if merge == "sum":
                    layer.lora_A["default"].weight.copy_(torch.cat(a))
                    layer.lora_B["default"].weight.copy_(
                        torch.cat([c[i] * b[i] for i in range(len(b))], 1))
                else:
                    layer.lora_A["default"].weight.copy_(sum(c[i] * a[i] for i in range(len(a))))
                    layer.lora_B["default"].weight.copy_(sum(c[i] * b[i] for i in range(len(b))))
                layer.lora_magnitude_vector["default"].weight.copy_(magnitudes[2 * block + place])
    return model.eval()


def make():
    """Write all of it; returns the largest difference between PEFT's fold and autograd's fusion."""
    shutil.rmtree(GOLDENS, ignore_errors=True)
    texts = sentences()
    outputs, largest = {}, 0.0
    for seed, (name, settings) in enumerate(CASES.items()):
        model = peft_models.adapted(TINY / "model", seed + 1, **settings)
        peft_models.save(model, GOLDENS / name)
        outputs[name] = peft_models.embed(model, texts)
        again = peft_models.embed(peft_models.loaded(TINY / "model", GOLDENS / name), texts)
        assert torch.allclose(outputs[name], again, rtol=0, atol=1e-12), name
    reference = load_file(TINY / "expected.safetensors")
    for merge in ("sum", "product"):
        model = fold(merge)
        outputs["fold-" + merge] = peft_models.embed(model, texts)
        fused = reference["float.qv-%s.embeddings" % merge].double()
        largest = max(largest, float((outputs["fold-" + merge] - fused).abs().max()))
        peft_models.save(model, GOLDENS / ("fold-" + merge))
    save_file({name: tensor.float().contiguous() for name, tensor in outputs.items()},
              str(GOLDENS / "outputs.safetensors"))
    return largest
