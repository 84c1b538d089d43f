#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of deploying, training and evaluating with lfctl on a tiny model: what is promised of results and of files."""

import itertools
import json
import os
import sys

import ktap
import lfctl_fixture as fixture

NUMBERS = fixture.MODULES * fixture.BLOCKS + len(fixture.TARGETS) * fixture.HIDDEN


def outputs(bench, name):
    """Options that write an adaptation and predictions, and how to read both."""
    adapter, predictions = bench.out / name, bench.out / (name + ".txt")
    return (["--adapter", adapter, "--predictions", predictions],
            lambda: (adapter.read_bytes(), predictions.read_text()))


def test_deploying_writes_and_training_does_not():
    with fixture.bench() as bench:
        deployed = bench.deploy().json()
        ktap.equal(deployed["modules"], ["module-0", "module-1", "module-2"])
        written = deployed["deploy"]["cells_written"]
        before = bench.state()
        ktap.equal((written > 0, before[1]), (True, written))
        trained = bench.train().json()
        ktap.equal(trained["adaptation"]["cells_written"], 0)
        ktap.equal(trained["adaptation"]["source"], "device")
        ktap.equal(trained["adaptation"]["mvm_count"] > 0, True)
        ktap.equal(trained["trainable"]["lorafusion"], NUMBERS)
        ktap.equal(trained["trained"], {"method": NUMBERS, "head": 0})
        ktap.equal(trained["samples"], {"train": 16, "test": 16})
        energy = dict(trained["adaptation"]["energy_pj"])
        total = energy.pop("total")
        ktap.equal(abs(total - sum(energy.values())) < 1e-6 * total, True)
        ktap.equal(bench.state(), before)


def test_eval_repeats_what_train_found():
    methods = (["--merge", "sum"], ["--merge", "product"], ["--head", "linear"],
               ["--no-magnitude", "--coefficients", "model"], ["--prune", "0.4", "--switch-off", "0.3"],
               ["--method", "uniform"], ["--method", "best-single", "--merge", "product"],
               ["--method", "lorahub", "--evaluations", "15"], ["--method", "full"],
               ["--method", "full", "--place", "once", "--targets", "k"], ["--method", "ia3"],
               ["--method", "vera", "--rank", "3", "--projection-seed", "5"],
               ["--method", "magnitude"], ["--method", "bitfit"],
               ["--method", "head", "--head", "linear"])
    with fixture.bench(deployed=True) as bench:
        for number, method in enumerate(methods):
            options, read = outputs(bench, "adapted-%d" % number)
            trained = bench.train(*method, *options).json()
            adapter, predictions = read()
            evaluated = bench.eval(*options).json()
            ktap.equal(read(), (adapter, predictions))
            name = trained["recipe"]["method"].replace("-", "_")
            ktap.equal(evaluated["accuracy"][name], trained["accuracy"][name])
            ktap.equal(evaluated.get("modules_read"), trained.get("modules_read"))
            if "once" not in method:
                ktap.equal(evaluated["inference"]["cells_written"], 0)
            ktap.equal(len(predictions.splitlines()), 16)
            ktap.equal(set(predictions.split()) <= {"fruit", "tool"}, True)


def test_threads_and_kernels_change_no_bit():
    with fixture.bench(deployed=True) as bench:
        for method in ((), ("--coefficients", "model", "--no-magnitude", "--prune", "0.4"),
                       ("--method", "lorahub", "--evaluations", "10")):
            found = []
            for threads, simd in itertools.product("13", ("scalar", "auto")):
                options, read = outputs(bench, "adapted")
                bench.train(*method, "--threads", threads, "--simd", simd, *options)
                found.append(read())
            ktap.equal([other == found[0] for other in found], [True] * 4)


def test_an_interrupted_run_goes_on_to_the_same_bits():
    with fixture.bench(deployed=True) as bench:
        options, read = outputs(bench, "whole")
        bench.train("--checkpoint", bench.out / "checkpoint-1", *options)
        whole = read()
        options, read = outputs(bench, "resumed")
        resumed = ["--checkpoint", bench.out / "checkpoint-2", "--checkpoint-steps", "3", *options]
        bench.train("--steps", "3", *resumed)
        bench.train(*resumed)
        ktap.equal(read() == whole, True)
        bench.refused(bench.train, *resumed, "--seed", "2",
                      says=("checkpoint-2", "belongs to another run"))
        damaged = bytearray((bench.out / "checkpoint-2").read_bytes())
        damaged[-1] ^= 1
        (bench.out / "checkpoint-2").write_bytes(damaged)
        bench.refused(bench.train, *resumed, says=("checkpoint-2", "checksum"))


def test_pruning_survives_an_interruption():
    with fixture.bench(deployed=True) as bench:
        settings = ["--prune", "0.4", "--switch-off", "0.2", "--epochs", "4"]
        options, read = outputs(bench, "whole")
        whole = bench.train(*settings, *options).json()
        ktap.equal(whole["modules_read"], {"read": 2, "all": 3})
        expected = read()
        options, read = outputs(bench, "resumed")
        resumed = [*settings, "--checkpoint", bench.out / "checkpoint", "--checkpoint-steps", "1", *options]
        for steps in ("7", "8", "9", "0"):
            bench.train("--steps", steps, *resumed)
        ktap.equal(read() == expected, True)


def test_methods_train_what_they_say():
    coefficients, outputs_all = fixture.MODULES * fixture.BLOCKS, len(fixture.TARGETS) * fixture.HIDDEN
    lora = 4 * 2 * len(fixture.TARGETS) * fixture.HIDDEN
    weights = 4 * fixture.HIDDEN * fixture.HIDDEN + 2 * fixture.HIDDEN * fixture.INNER
    cases = ((("zero-shot",), 0), (("majority",), 0), (("uniform",), 0), (("best-single",), 0),
             (("lorahub",), fixture.MODULES), (("lora", "--rank", "4"), lora),
             (("dora", "--rank", "4"), lora + outputs_all), (("bitfit",), outputs_all),
             (("vera", "--rank", "4"), outputs_all + 4 * len(fixture.TARGETS)),
             (("ia3",), 2 * fixture.HIDDEN + fixture.INNER), (("magnitude",), outputs_all),
             (("full",), weights + 5 * fixture.HIDDEN + fixture.INNER),
             (("lorafusion", "--no-magnitude"), coefficients),
             (("lorafusion", "--coefficient-rate", "0"), outputs_all),
             (("lorafusion", "--magnitude-rate", "0"), coefficients),
             (("lorafusion", "--coefficients", "model"), fixture.MODULES + outputs_all))
    with fixture.bench(deployed=True) as bench:
        for words, numbers in cases:
            found = bench.train("--method", *words, "--epochs", "1").json()
            ktap.equal((words, found["trained"]), (words, {"method": numbers, "head": 0}))
            ktap.equal(found["adaptation"]["cells_written"], 0)
            ktap.equal(found["recipe"]["method"], words[0])


def test_methods_that_search_spend_reads_alone():
    with fixture.bench(deployed=True) as bench:
        spent = {}
        for method in ("zero-shot", "majority", "uniform", "best-single", "lorahub"):
            found = bench.train("--method", method, "--evaluations", "12").json()
            spent[method] = found["adaptation"]["mvm_count"]
            ktap.equal(found["adaptation"]["cells_written"], 0)
        ktap.equal((spent["zero-shot"], spent["majority"], spent["uniform"]), (0, 0, 0))
        # Twelve passes over the examples against three; the first of the twelve reads no module.
        modules = 2 * len(fixture.TARGETS)
        one = spent["best-single"] // fixture.MODULES
        tokens = one // (6 + modules)
        ktap.equal(spent["best-single"], fixture.MODULES * tokens * (6 + modules))
        ktap.equal(spent["lorahub"], tokens * (12 * (6 + modules) - modules))


def test_placed_matrices_are_written_as_asked():
    with fixture.bench(deployed=True) as bench:
        written = {}
        for place in ("host", "once", "each-step"):
            found = bench.train("--method", "lora", "--rank", "4", "--place", place).json()
            written[place] = found["adaptation"]["cells_written"]
        ktap.equal(written["host"], 0)
        ktap.equal(0 < written["once"] < written["each-step"], True)


def test_recipes_without_meaning_are_refused():
    cases = ((("lora", "--merge", "sum"), "--merge"), (("lorahub", "--merge", "sum"), "--merge"),
             (("bitfit", "--coefficients", "model"), "--coefficients"),
             (("lorahub", "--coefficients", "block"), "--coefficients"),
             (("uniform", "--no-magnitude"), "--no-magnitude"), (("dora", "--l1", "0"), "--l1"),
             (("uniform", "--prune", "0.1"), "--prune"), (("lora", "--switch-off", "0.1"), "--switch-off"),
             (("dora", "--place", "once"), "--place"), (("lorafusion", "--place", "host"), "--place"),
             (("lorafusion", "--targets", "q"), "--targets"), (("ia3", "--targets", "q"), "--targets"),
             (("lorafusion", "--rank", "4"), "--rank"), (("vera", "--alpha", "4"), "--alpha"),
             (("zero-shot", "--head", "linear"), "--head"), (("uniform", "--head", "linear"), "--head"),
             (("head",), "--head"), (("majority", "--adapter", "x"), "--adapter"),
             (("lorahub", "--checkpoint", "x"), "--checkpoint"),
             (("lorafusion", "--no-magnitude", "--coefficient-rate", "0"), "--coefficient-rate"))
    with fixture.bench() as bench:
        for words, option in cases:
            run = bench.train("--method", *words, status=fixture.USAGE)
            ktap.equal((words, option in run.errors, run.output), (words, True, ""))
        run = fixture.lfctl("train", "--method", "best-single", "--model", bench.model, "--task", bench.task,
                            status=fixture.USAGE)
        ktap.equal("--pool is missing" in run.errors, True)


def test_a_lora_becomes_a_module_of_a_pool():
    with fixture.bench(deployed=True) as bench:
        pool = bench.folder / "trained"
        pool.mkdir()
        for number in range(2):
            trained = bench.train("--method", "lora", "--rank", "4", "--alpha", "8", "--seed",
                                  number + 1, "--adapter", pool / ("module-%d" % number)).json()
            ktap.equal(trained["adaptation"]["cells_written"], 0)
            ktap.equal(trained["trained"]["method"], 4 * 4 * fixture.HIDDEN)
        config = json.loads((pool / "module-0" / "adapter_config.json").read_text())
        ktap.equal((config["peft_type"], config["r"], config["lora_alpha"]), ("LORA", 4, 8.0))
        bench.deploy("--pool-only", "--pool", pool)
        ktap.equal(bench.train("--pool", pool).json()["trained"]["method"],
                   2 * fixture.BLOCKS + len(fixture.TARGETS) * fixture.HIDDEN)


def test_pools_are_drawn_by_seed():
    with fixture.bench(deployed=True) as bench:
        bench.refused(bench.train, "--modules", "2", says="2 modules are not deployed")
        drawn = bench.deploy("--pool-only", "--modules", "2", "--pool-seed", "5").json()["modules"]
        ktap.equal(len(set(drawn)), 2)
        bench.train("--modules", "2", "--pool-seed", "5")
        bench.refused(bench.deploy, "--pool-only", "--modules", "2", "--pool-seed", "5", says="taken")


def test_what_is_not_deployed_is_refused():
    with fixture.bench() as bench:
        bench.refused(bench.train, says=("model model: not deployed", "lfctl deploy"))
        bench.deploy()
        bench.refused(bench.train, "--name", "other", says="model other: not deployed")
        bench.refused(bench.train, "--tokens", "33", says="the model takes 2 to 32")
        bench.refused(lambda *words, **options: fixture.lfctl(
            "matrix", "info", *words, "--device", bench.device, **options), "nothing", says="nothing")
        names = [row["name"] for row in fixture.lfctl(
            "matrix", "list", "--device", bench.device, "--json").json()["matrices"]]
        name = next(name for name in names if name.endswith("/layer.0.output.dense"))
        found = fixture.lfctl("matrix", "info", name, "--device", bench.device,
                              "--json").json()["matrix"]
        ktap.equal((found["rows"], found["cols"], found["mode"]), (64, 32, "0444"))


def test_what_is_deleted_makes_room():
    with fixture.bench(deployed=True) as bench:
        def matrix(*words, **options):
            return fixture.lfctl("matrix", *words, "--device", bench.device, "--json", **options)

        names = [row["name"] for row in matrix("list").json()["matrices"]]
        assert "no matrix" in matrix("delete", "nothing", status=fixture.FAILED).errors
        ktap.equal(matrix("delete", names[0]).json()["deleted"], [names[0]])
        below = names[1].split("/")[0] + "/"
        ktap.equal(sorted(matrix("delete", below).json()["deleted"]),
                   sorted(name for name in names[1:] if name.startswith(below)))
        ktap.equal([row["name"] for row in matrix("list").json()["matrices"]],
                   [name for name in names if not name.startswith(below)])


def test_outputs_that_cannot_be_written_are_refused_before_the_work():
    with fixture.bench(deployed=True) as bench:
        folder = bench.out / "folder"
        folder.mkdir()
        nowhere = bench.folder / "nowhere" / "file"
        for option in ("--adapter", "--predictions", "--checkpoint"):
            for path, says in ((nowhere, "cannot be made there"), (folder, "Is a directory"),
                               (bench.model / "vocab.txt" / "x", "Not a directory"), ("", "is empty")):
                bench.refused(bench.train, option, path, says=(option, says))
        bench.refused(bench.train, "--method", "lora", "--adapter", bench.model / "vocab.txt",
                      says="Not a directory")
        with open("/dev/full", "wb") as full:
            path = "/dev/fd/%d" % full.fileno()
            bench.refused(bench.train, "--adapter", bench.out / "adapted", "--predictions", path,
                          says=(path, "No space left"), pass_fds=[full.fileno()])
        pipe = bench.folder / "pipe"
        os.mkfifo(pipe)
        for option in ("--adapter", "--checkpoint"):
            ktap.equal("is not a regular file" in bench.train(option, pipe, status=fixture.FAILED).errors,
                       True)
            ktap.equal(pipe.is_fifo(), True)
        pipe.unlink()
        bench.train("--adapter", bench.out / "adapted")
        bench.refused(bench.eval, "--adapter", bench.out / "adapted", "--predictions", nowhere,
                      says="cannot be made there")


def test_a_file_that_fails_in_the_end_leaves_no_other():
    with fixture.bench(deployed=True) as bench:
        # Longer than a file's name may be once a temporary one is made of it.
        bench.refused(bench.train, "--predictions", bench.out / "predictions", "--adapter",
                      bench.out / ("x" * 250), says="File name too long")


def test_a_write_budget_that_runs_out_leaves_no_matrix():
    with fixture.bench() as bench:
        bench.device += ",default_quota=30000"
        run = bench.deploy(status=fixture.FAILED)
        assert "model.m" in run.errors, run
        matrices, written, *_, used = bench.state()
        ktap.equal((matrices, used), ([], 0))
        ktap.equal(0 < written <= 30000, True)


def test_predictions_go_to_a_pipe_too():
    with fixture.bench(deployed=True) as bench:
        reader, writer = os.pipe()
        bench.train("--predictions", "/dev/fd/%d" % writer, pass_fds=[writer])
        os.close(writer)
        with open(reader, encoding="utf-8") as file:
            ktap.equal(len(file.readlines()), 16)


def test_private_matrices_are_of_their_owner_alone():
    with fixture.bench() as bench:
        bench.deploy("--private")
        ktap.equal({row["mode"] for row in bench.state()[0]}, {"0400"})


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
