#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Adapters of PEFT in the runtime, and what the runtime trains in PEFT: the same outputs, both ways, on the real encoder.

    make interchange
    tests/golden/peft_interchange.py [--build FOLDER] [--goldens]

Prints the largest difference of a number of a sentence embedding (they are of length 1). PEFT computes in double precision, the
runtime in single: an adapter that drives attention far amplifies rounding, in PEFT too. --goldens writes tests/golden/peft
anew instead. PEFT is installed once, in an environment in the cache folder.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("LF_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() /
                     "lorafusion")
ENVIRONMENT = CACHE / "peft"
STEPS = 20
SENTENCES = 16
LABELLED = 100


def enter_environment():
    """Go on in an environment with PEFT, made where there is none."""
    python = ENVIRONMENT / "bin" / "python"
    if pathlib.Path(sys.prefix) == ENVIRONMENT:
        os.environ["HF_HUB_OFFLINE"] = "1"
        return
    if not (ENVIRONMENT / "complete").exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", ENVIRONMENT],
                       check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "--no-deps", "--only-binary", ":all:", "--requirement",
                        FOLDER / "peft_requirements.txt"], check=True)
        (ENVIRONMENT / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Comparison:
    """Both sides on the same sentences."""

    def __init__(self, arguments, scratch):
        from tokenizers import Tokenizer
        self.lfctl = pathlib.Path(arguments.build) / "bin" / "lfctl"
        self.library = pathlib.Path(arguments.build) / "lib" / "liblf.so"
        self.model, self.task, self.scratch = CACHE / "encoder", pathlib.Path(arguments.task), scratch
        tokenizer = Tokenizer.from_file(str(self.model / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(32)
        examples = read_lines(self.task / "test.jsonl")[:LABELLED]
        self.sentences = [tokenizer.encode(row["text"]).ids for row in examples]
        labels = json.loads((self.task / "labels.json").read_text(encoding="utf-8"))
        self.names = [row["label"] for row in labels]
        self.label_sentences = [tokenizer.encode(row["text"]).ids for row in labels]

    def show(self, what, ours, theirs, single=None):
        """Print a row, beside it how far PEFT is off in single precision, and return the largest difference."""
        largest = float(abs(ours - theirs).max())
        yardstick = "" if single is None else "   (PEFT in single precision: %.1e)" % abs(single - theirs).max()
        print("  %-62s %.1e%s" % (what, largest, yardstick), flush=True)
        return largest

    def run(self, *words):
        subprocess.run([str(self.lfctl), *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL)

    def from_peft(self, runtime):
        """PEFT writes, the runtime reads."""
        import peft_goldens
        import peft_models
        largest = 0.0
        print("from PEFT to the runtime, largest difference:")
        for seed, (name, settings) in enumerate(peft_goldens.CASES.items()):
            folder = self.scratch / ("peft-" + name)
            model = peft_models.adapted(self.model, seed + 1, **dict(settings, r=settings["r"] * 4))
            peft_models.save(model, folder)
            some = self.sentences[:SENTENCES]
            theirs = peft_models.embed(model, some).numpy()
            largest = max(largest, self.show(name, runtime.embed(runtime.adapter(folder), some), theirs,
                                             peft_models.embed(model.float(), some).numpy()))
        return largest

    def predictions(self, model, frozen):
        """Labels that the cosine head gives to the test examples."""
        import peft_models
        labels = peft_models.embed(frozen, self.label_sentences)
        scores = peft_models.embed(model, self.sentences) @ labels.T
        return [self.names[int(row.argmax())] for row in scores]

    def train(self, device, adapter, *words):
        """Train a little, and return the labels the tool predicts."""
        predictions = self.scratch / "predictions"
        self.run("train", "--device", device, "--model", self.model, "--task", self.task, "--steps",
                 STEPS, "--test-limit", LABELLED, "--adapter", adapter, "--predictions", predictions,
                 "--quiet", *words)
        return predictions.read_text(encoding="utf-8").splitlines()

    def compare_trained(self, what, folder, ours, labels):
        """Embeddings and predicted labels of a directory that the runtime wrote."""
        import peft_models
        model = peft_models.loaded(self.model, folder)
        theirs = peft_models.embed(model, self.sentences[:SENTENCES]).numpy()
        largest = self.show(what, ours, theirs)
        found = self.predictions(model, peft_models.bert(self.model))
        same = sum(one == other for one, other in zip(found, labels))
        print("  %-62s %d of %d" % ("  labels of the test examples that are the same", same, len(labels)))
        return largest

    def to_peft(self, runtime):
        """The runtime trains and writes, PEFT reads."""
        largest = 0.0
        print("from the runtime to PEFT, trained for %d steps on %s:" % (STEPS, self.task.name))
        for method in ("lora", "dora"):
            folder = self.scratch / ("trained-" + method)
            device = "inproc:float,memory=%s" % (self.scratch / "float.img")
            labels = self.train(device, folder, "--method", method)
            ours = runtime.embed(runtime.adapter(folder), self.sentences[:SENTENCES])
            largest = max(largest, self.compare_trained(method, folder, ours, labels))
        return largest

    def fold(self, runtime, pool, merge, what):
        """LoRAFusion of a pool, folded, against the fused model itself."""
        fused, folder = self.scratch / ("fused-" + merge), self.scratch / ("folded-" + merge)
        device = "inproc:float,memory=%s" % (self.scratch / "float.img")
        labels = self.train(device, fused, "--pool", pool, "--merge", merge)
        self.run("fold", "--model", self.model, "--pool", pool, "--adapter", fused, "--out", folder)
        ours = runtime.embed(runtime.fusion(fused, self.task, merge), self.sentences[:SENTENCES])
        return self.compare_trained("%s, %s, folded to rank %d" % (
            what, merge, json.loads((folder / "adapter_config.json").read_text())["r"]),
                                    folder, ours, labels)

    def truncate(self, folder, ranks):
        """What the best adapters of lower rank lose (Eckart and Young): not written, only shown."""
        import torch
        from safetensors.torch import load_file
        tensors = load_file(folder / "adapter_model.safetensors")
        lost = {rank: 0.0 for rank in ranks}
        total = 0.0
        for name, a in tensors.items():
            if ".lora_A." not in name:
                continue
            delta = tensors[name.replace("lora_A", "lora_B")].double() @ a.double()
            squares = torch.linalg.svdvals(delta) ** 2
            total += float(squares.sum())
            for rank in ranks:
                lost[rank] += float(squares[rank:].sum())
        for rank in ranks:
            print("  %-62s %.1f %%" % ("  truncated to rank %d by SVD, share of its norm lost" % rank,
                                       100 * (lost[rank] / total) ** 0.5))


def deploy(comparison, pool):
    image = comparison.scratch / "float.img"
    image.unlink(missing_ok=True)
    comparison.run("deploy", "--device", "inproc:float,memory=%s" % image, "--model", comparison.model,
                   "--pool", pool, "--quiet")


def compare(arguments, scratch):
    import peft
    import peft_models
    import torch
    import transformers
    from peft_runtime import Runtime
    print("peft %s, transformers %s, torch %s" % (peft.__version__, transformers.__version__,
                                                  torch.__version__))
    comparison = Comparison(arguments, scratch)
    runtime = Runtime(comparison.library, comparison.model, "inproc:float")
    frozen = comparison.show("the model alone", runtime.embed(None, comparison.sentences[:SENTENCES]),
                             peft_models.embed(peft_models.bert(comparison.model),
                                               comparison.sentences[:SENTENCES]).numpy())
    largest = comparison.from_peft(runtime)
    made = scratch / "pool"
    for number in range(3):
        model = peft_models.adapted(comparison.model, 50 + number, r=8, lora_alpha=4 * (number + 2),
                                    target_modules=["query", "value"])
        peft_models.save(model, made / ("module-%d" % number))
    for pool, what in ((made, "pool of 3 by PEFT"), (FOLDER.parents[1] / "pool", "the project's pool")):
        deploy(comparison, pool)
        fused = Runtime(comparison.library, comparison.model, "inproc:float", pool)
        if pool == made:
            largest = max(largest, comparison.to_peft(fused))
        for merge in ("sum", "product"):
            largest = max(largest, comparison.fold(fused, pool, merge, what))
            if merge == "sum":
                comparison.truncate(scratch / "folded-sum", (16, 64) if pool != made else (8,))
    print("largest of all: %.1e (the model alone: %.1e)" % (largest, frozen))
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="default: %(default)s")
    parser.add_argument("--task", default="build/data/synopsis/use",
                        help="whose test examples are embedded (default: %(default)s)")
    parser.add_argument("--goldens", action="store_true", help="write tests/golden/peft anew")
    arguments = parser.parse_args()
    enter_environment()
    if arguments.goldens:
        import peft_goldens
        print("largest difference between PEFT's fold and autograd's fusion: %.1e" % peft_goldens.make())
        return 0
    with tempfile.TemporaryDirectory(prefix="lf-peft-") as scratch:
        # Single precision through 6 layers; see the model alone.
        return 0 if compare(arguments, pathlib.Path(scratch)) < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
