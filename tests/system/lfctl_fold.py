#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lfctl fold and PEFT directories in lfctl eval: what is folded predicts what the fused pool predicts, and bad input is refused."""

import json
import shutil
import sys

import ktap
import lfctl_fixture as fixture


def fold(bench, *words, **options):
    return fixture.lfctl("fold", "--model", bench.model, "--pool", bench.pool, "--json", *words, **options)


def on_float(bench):
    """fp32 cells: neither the pool nor the fold is rounded."""
    bench.device = "inproc:float,tiles=256,memory=%s" % bench.cells
    bench.deploy()


def lines(path):
    return path.read_text().splitlines()


def test_a_fold_predicts_what_the_pool_does():
    for words, rank in (((), 12), (("--merge", "product"), 4), (("--no-magnitude",), 12),
                        (("--coefficients", "model"), 12)):
        with fixture.bench() as bench:
            on_float(bench)
            fused, folded, one, other = (bench.out / name for name in ("fused", "folded", "one", "other"))
            trained = bench.train("--adapter", fused, "--predictions", one, *words).json()
            made = fold(bench, "--adapter", fused, "--out", folded).json()["folded"]
            plain = "--no-magnitude" in words
            ktap.equal((made["rank"], made["layers"], made["modules"]), (rank, 2, 3))
            ktap.equal(made["method"], "lora" if plain else "dora")
            ktap.equal(made["numbers"], 2 * (rank * 64 + (0 if plain else 32)))
            config = json.loads((folded / "adapter_config.json").read_text())
            ktap.equal((config["r"], config["lora_alpha"], config["use_dora"]), (rank, rank, not plain))
            found = bench.eval("--adapter", folded, "--predictions", other).json()
            ktap.equal(lines(one), lines(other))
            ktap.equal(found["accuracy"][made["method"]], trained["accuracy"]["lorafusion"])
            ktap.equal(found["inference"]["cells_written"], 0)


def test_a_fold_may_be_half_as_large():
    with fixture.bench(deployed=True) as bench:
        bench.train("--adapter", bench.out / "fused")
        sizes = []
        for dtype in ("f32", "f16"):
            fold(bench, "--adapter", bench.out / "fused", "--out", bench.out / dtype, "--dtype", dtype)
            sizes.append((bench.out / dtype / "adapter_model.safetensors").stat().st_size)
            bench.eval("--adapter", bench.out / dtype)
        ktap.equal(sizes[1] < 0.65 * sizes[0], True)


def test_what_lora_and_dora_wrote_is_evaluated():
    for method in ("lora", "dora"):
        with fixture.bench(deployed=True) as bench:
            out = bench.out / method
            bench.train("--method", method, "--rank", "4", "--adapter", out, "--predictions", bench.out / "one")
            found = bench.eval("--adapter", out, "--predictions", bench.out / "other").json()
            ktap.equal(list(found["accuracy"])[1], method)
            ktap.equal(lines(bench.out / "one"), lines(bench.out / "other"))


def test_a_module_of_the_pool_is_evaluated():
    with fixture.bench(deployed=True) as bench:
        ktap.equal("lora" in bench.eval("--adapter", bench.pool / "module-0").json()["accuracy"], True)


def test_folds_that_cannot_be_are_refused():
    with fixture.bench(deployed=True) as bench:
        fused, out = bench.out / "fused", bench.out / "folded"
        bench.train("--adapter", fused)
        bench.train("--method", "bitfit", "--adapter", bench.out / "biases")
        other = bench.folder / "other"
        fixture.write_pool(other / "pool", modules=2)
        shutil.copytree(bench.model, other / "model")
        tensors = fixture.model_tensors()
        tensors["encoder.layer.0.attention.self.query.weight"][1][0] += 0.5
        (other / "model" / "model.safetensors").write_bytes(fixture.safetensors(tensors))
        for words, says in ((("--adapter", bench.out / "biases"), ("biases", "fuses no pool")),
                            (("--adapter", bench.pool / "module-0"), "module-0"),
                            (("--adapter", fused, "--pool", other / "pool"), ("fused", "2 modules", "checksum")),
                            (("--adapter", fused, "--model", other / "model"), ("fused", "its weights have")),
                            (("--adapter", fused, "--out", bench.model / "config.json"), "--out")):
            bench.refused(lambda *given, **options: fold(bench, *given, **options), "--out", out, *words, says=says)
        bench.refused(lambda *given, **options: fixture.lfctl("fold", *given, **options), "--adapter", fused,
                      "--out", out, "--model", bench.model, says="--pool is missing", status=fixture.USAGE)


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
