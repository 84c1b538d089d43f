# SPDX-License-Identifier: MIT
"""BERT with adapters of PEFT, and what the runtime's encoder makes of a sentence: the mean over its tokens, of length 1."""

import json
import pathlib
import shutil
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

warnings.filterwarnings("ignore", message="Could not find a config file")


def bert(directory):
    """The model of a directory in double precision, without the pooler."""
    directory = pathlib.Path(directory)
    config = BertConfig(**json.loads((directory / "config.json").read_text()))
    config._attn_implementation = "eager"
    # A name would be looked for on a hub.
    config._name_or_path = ""
    model = BertModel(config, add_pooling_layer=False)
    weights = {name: tensor for name, tensor in load_file(directory / "model.safetensors").items()
               if not name.startswith("pooler.") and "position_ids" not in name}
    missing = model.load_state_dict(weights, strict=False)
    if missing.unexpected_keys or [name for name in missing.missing_keys if "position_ids" not in name]:
        raise ValueError("%s: %s" % (directory, missing))
    return model.double().eval()


def embed(model, sentences):
    """[sentences][hidden] unit vectors of lists of token ids."""
    rows = []
    with torch.no_grad():
        for ids in sentences:
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
            rows.append(hidden / hidden.norm())
    return torch.stack(rows)


def adapted(directory, seed, **settings):
    """The model with a new adapter whose numbers are drawn, magnitudes up to a fifth off the norms."""
    torch.manual_seed(seed)
    settings.setdefault("lora_dropout", 0.0)
    model = get_peft_model(bert(directory), LoraConfig(init_lora_weights=False, **settings)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_magnitude_vector" in name:
                parameter.mul_(1.2 - 0.4 * torch.rand(parameter.shape))
            elif "lora_" in name:
                # What single precision can hold, since that is what the file will.
                parameter.copy_(parameter.mul(3.0).float())
            if "lora_" in name:
                parameter.copy_(parameter.float())
    return model.eval()


def save(model, directory):
    """Write the adapter as PEFT does, in single precision, without the card."""
    shutil.rmtree(directory, ignore_errors=True)
    model.float().save_pretrained(str(directory))
    model.double()
    (pathlib.Path(directory) / "README.md").unlink(missing_ok=True)


def loaded(model_directory, adapter_directory):
    """The model with an adapter from a directory."""
    return PeftModel.from_pretrained(bert(model_directory), str(adapter_directory)).double().eval()
