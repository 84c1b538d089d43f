#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of lfctl experiment on a tiny model: resumed runs, equal draws, refused files, estimates."""

import contextlib
import copy
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import ktap
import lfctl_fixture as fixture

TINY = json.loads(pathlib.Path(ktap.SOURCE, "experiments", "tiny.json").read_text())
RUNS, TRIALS = 8, 6


class Rig:
    """A folder with a task to tune on, one to measure on, a pool, and the experiment's file."""

    def __init__(self, bench):
        self.folder, self.model = bench.folder, bench.model
        shutil.copytree(bench.task, bench.folder / "other")
        self.file = bench.folder / "tiny.json"
        self.out = bench.folder / "results"
        self.write(TINY)

    def write(self, content):
        self.file.write_text(content if isinstance(content, str) else json.dumps(content))

    def words(self, *words, out=None):
        return [str(word) for word in ("experiment", self.file, "--model", self.model, "--out",
                                       out or self.out, "--json", "--quiet", *words)]

    def run(self, *words, out=None, **options):
        return fixture.lfctl(*self.words(*words, out=out), cwd=self.folder, **options)

    def lines(self, name="runs", out=None):
        path = (out or self.out) / (name + ".jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()[1:]]


@contextlib.contextmanager
def rig():
    with fixture.bench() as bench:
        yield Rig(bench)


def lasting(result):
    """A result without what a clock said."""
    kept = copy.deepcopy(result)
    for row in kept["methods"]:
        del row["train_s"], row["test_s"]
    return kept


def test_tuning_comes_first_and_its_choice_is_used():
    with rig() as made:
        assert "--tune comes first" in made.run(status=fixture.FAILED).errors
        tuned = made.run("--tune").json()["tuned"]
        ktap.equal(sorted(tuned), ["LoRA", "LoRAFusion", "linear probe"])
        ktap.equal([len(one["accuracies"]) for one in tuned.values()], [2, 2, 2])
        ktap.equal(len(made.lines("tuning")), TRIALS)
        for line in made.lines("tuning"):
            ktap.equal((line["task"], line["configuration"]["split"]), ("other", "validation"))
        made.run()
        for line in made.lines():
            if line["method"] in tuned:
                ktap.equal(line["configuration"]["settings"], tuned[line["method"]]["settings"])
        made.write({**TINY, "examples": 6})
        assert "was not chosen for this file" in made.run(status=fixture.FAILED).errors


def test_a_module_of_the_task_itself_is_not_tuned_with():
    with rig() as made:
        os.rename(made.folder / "pool" / "module-1", made.folder / "pool" / "other")
        # Two of three modules, five times: it would be drawn.
        made.write(changed(("tuning", "seeds"), [1, 2, 3, 4, 5]))
        made.run("--tune")
        for line in made.lines("tuning"):
            modules = line["configuration"]["modules"]
            ktap.equal(len(modules), 2 if line["method"] == "LoRAFusion" else 0)
            assert "other" not in modules, modules


def every_method(made):
    """The methods that the tool knows, with what each of them must have; none is forgotten here when one is added."""
    made.write(changed(("methods", 0, "method"), "nothing"))
    says = made.run("--tune", status=fixture.FAILED).errors
    methods = []
    for name in says.split("is none of ")[1].split()[0].split("|"):
        method = {"name": name, "method": name, "epochs": 2, "evaluations": 3}
        if name == "head":
            method["head"] = "linear"
        made.write({**changed(("tuning",), None), "methods": [method], "against": name, "claims": []})
        if '"methods[0].pool": is missing' in made.run("--tune", status=fixture.FAILED).errors:
            method["pool"] = "pool"
        methods.append(method)
    assert len(methods) > 10, methods
    return methods


def untuned(methods, against, **more):
    plain = {key: value for key, value in TINY.items() if key != "tuning"}
    return {**plain, "methods": methods, "against": against, "claims": [], **more}


def without_clock(line):
    return {key: value for key, value in line.items() if not key.endswith("_s")}


def test_every_method_gives_alone_what_it_gives_among_the_others():
    with rig() as made:
        methods = every_method(made)
        assert sum("pool" in method for method in methods) > 3, methods
        methods += [{"name": "one module", "method": "lorafusion", "epochs": 2, "pool": "pool", "modules": 1},
                    {"name": "on crossbars", "method": "lora", "epochs": 2, "place": "each-step"}]
        made.write(untuned(methods, "lora", seeds=[1]))
        made.run("--jobs", "1")
        together = {line["method"]: line for line in made.lines()}
        ktap.equal(len(together), len(methods))
        # One device for all without a pool, one for those with it, one for the smaller pool, and one to be written to.
        opened = [line for line in together.values() if line["open_s"] > 0.0005]
        assert len(opened) <= 5, [line["method"] for line in opened]
        for method in methods:
            out = made.folder / "alone"
            made.write(untuned([method], method["name"], seeds=[1]))
            made.run("--jobs", "1", out=out)
            line, = made.lines(out=out)
            ktap.equal(without_clock({**line, "deployed": 0}),
                       without_clock({**together[method["name"]], "deployed": 0}))
            shutil.rmtree(out)
        ktap.equal(together["majority"]["inference"]["energy_pj"]["backbone"], 0.0)
        assert together["on crossbars"]["training"]["cells_written"] > 0
        assert together["on crossbars"]["writes_a_cell"] > 1
        # What writes has a device of its own, which takes its time to open.
        assert together["on crossbars"]["open_s"] > 0, together["on crossbars"]
        ktap.equal([name for name, line in together.items() if line["training"]["cells_written"]], ["on crossbars"])


def check_tables(text, fewest):
    """Tables are whole: as many cells in every row as in the head."""
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        ktap.equal({line.count("|") for line in table}, {table[0].count("|")})
    assert len(tables) >= fewest, text


def by_hand(line, training, inference, **more):
    """A line with energies that can be added up by hand: (backbone, pool, writes, cells, bytes, tokens), picojoules."""
    for name, numbers in (("training", training), ("inference", inference)):
        backbone, pool, writes, cells, moved, tokens = numbers
        line[name].update({"energy_pj": {"backbone": backbone, "pool": pool, "host": 40 * moved, "writes": writes},
                           "cells_written": cells, "host_bytes": moved, "tokens": tokens})
    return {**line, **more}


def test_energy_is_as_worked_out_by_hand():
    with rig() as made:
        made.write(untuned([{"name": "writer", "method": "lora", "place": "each-step", "epochs": 1},
                            {"name": "digital", "method": "lora", "epochs": 1},
                            {"name": "fusion", "method": "lorafusion", "pool": "pool", "epochs": 1}], "digital", seeds=[1]))
        made.run()
        header = (made.out / "runs.jsonl").read_text().splitlines()[0]
        lines = {line["method"]: line for line in made.lines()}
        model, pool = {"pool": False, "cells_written": 1000, "writes_pj": 0.0}, {"pool": True, "cells_written": 5000, "writes_pj": 0.0}
        changed_lines = [
            by_hand(lines["writer"], (1000.0, 100.0, 400.0, 200, 10, 10), (200.0, 20.0, 0.0, 0, 4, 20), trained=2, deployed=model),
            by_hand(lines["digital"], (1000.0, 0.0, 0.0, 0, 10, 10), (200.0, 0.0, 0.0, 0, 4, 20), trained=2, deployed=model),
            by_hand(lines["fusion"], (1000.0, 500.0, 0.0, 0, 20, 10), (200.0, 80.0, 0.0, 0, 8, 20), deployed=pool)]
        (made.out / "runs.jsonl").write_text("\n".join([header] + [json.dumps(line) for line in changed_lines]) + "\n")
        result = made.run().json()

        def row(table, method, against=None, **more):
            found, = [one for one in result[table] if one["method"] == method and one.get("against") == against
                      and all(one[key] == value for key, value in more.items())]
            return found

        # At 40 pJ a byte and 4.6 pJ a multiplication. The writer multiplies 10 x 2 times for gradients, the digital LoRA 3 x 10 x 2 times.
        writer, fusion, digital = 1100 + 400 + 400 + 92, 1500 + 800, 1000 + 400 + 276
        ktap.equal([row("energy", name)["adaptation_uj"] for name in ("writer", "fusion", "digital")],
                   [writer / 1e6, fusion / 1e6, digital / 1e6])
        # A token is a twentieth of the test; the digital LoRA multiplies twice.
        ktap.equal([row("energy", name)["token_pj"] for name in ("writer", "fusion", "digital")], [11 + 8, 14 + 16, 10 + 8 + 9.2])
        ktap.equal(row("energy", "writer")["write_pj_cell"], 2.0)
        pair = row("energy_comparisons", "fusion", "writer")
        ktap.equal(pair["break_even_pj_cell"], (fusion - (writer - 400)) / 200)
        ktap.equal((pair["cheaper"], pair["tokens"], pair["adapts_for_less"]), ("never", None, "depends on the preset"))
        ktap.equal((pair["pool_cells"], pair["tasks_to_repay_cells"]), (4000, 20))
        pair = row("energy_comparisons", "digital", "writer")
        ktap.equal((pair["cheaper"], pair["tokens"]), ("up to", round((writer - digital) / (27.2 - 19), 4)))
        # A cell of 10 pJ makes the writer dearer, until 11 pJ more for every token have used that up.
        swept = row("energy_sweep", "fusion", "writer", write_pj_cell=10, host_pj_byte=40)
        ktap.equal((swept["cheaper"], swept["tokens"]), ("up to", round((writer + 1600 - fusion) / 11, 3)))
        ktap.equal(swept["adaptation_ratio"], round(fusion / (writer + 1600), 6))
        free = row("energy_sweep", "fusion", "writer", write_pj_cell=1, host_pj_byte=0)
        ktap.equal((free["cheaper"], free["adaptation_ratio"]), ("never", round(1500 / (1100 + 200 + 92), 5)))
        # 12 pJ more for a token, against two multiplications that are not counted in it.
        ktap.equal(row("energy_digital", "fusion", "digital")["break_even_pj_mac"], (30 - 18) / 2)
        text = (made.out / "experiment.md").read_text()
        check_tables(text, 7)
        assert "\n| fusion | writer | 2 | 3.54 | never | depends on the preset | 4000 | 20.0 |\n" in text, text
        assert "\n| fusion | writer | 40 | never | never | up to 117 tokens | up to 481 tokens |" in text, text


def test_settings_of_another_method_and_of_another_experiment():
    with rig() as made:
        ablation = {"name": "ablation", "method": "lorafusion", "pool": "pool", "l1": 0,
                    "magnitude_rate": 0.001, "settings_of": "LoRAFusion"}
        content = {**TINY, "methods": TINY["methods"] + [ablation]}
        made.write(content)
        made.run("--tune")
        tuned = json.loads((made.out / "tuned.json").read_text())["tuned"]
        assert "ablation" not in tuned, tuned
        made.run()
        used = {line["method"]: line["configuration"]["settings"] for line in made.lines()}
        ktap.equal(used["ablation"], {**tuned["LoRAFusion"]["settings"], "l1": 0.0, "magnitude_rate": 0.001})
        borrowed = untuned([{key: value for key, value in method.items() if key != "trials"}
                            for method in content["methods"]], "LoRA", settings_from="results/tuned.json")
        made.write(borrowed)
        other = made.folder / "borrowed"
        made.run(out=other)
        ktap.equal({line["method"]: line["configuration"]["settings"] for line in made.lines(out=other)}, used)
        shutil.rmtree(other)
        made.write({**borrowed, "tasks": ["other"]})
        assert "was chosen on task other" in made.run(out=other, status=fixture.FAILED).errors
        stranger = {"name": "stranger", "method": "lora"}
        made.write({**borrowed, "methods": borrowed["methods"] + [stranger]})
        assert 'has no settings of "stranger"' in made.run(out=other, status=fixture.FAILED).errors
        made.write({**borrowed, "settings_from": "tiny.json"})
        assert "is no tuned.json" in made.run(out=other, status=fixture.FAILED).errors


def test_every_line_says_what_it_was():
    with rig() as made:
        made.run("--tune")
        result = made.run().json()
        lines = made.lines()
        ktap.equal(len(lines), RUNS)
        ktap.equal(sorted((line["seed"], line["method"]) for line in lines),
                   sorted((seed, method["name"]) for seed in TINY["seeds"] for method in TINY["methods"]))
        for line in lines:
            ktap.equal(line["configuration"]["seed"], line["seed"])
            ktap.equal((line["train"], line["test"], sum(line["items"])), (8, 16, 16))
            ktap.equal(line["accuracy"], sum(line["right"]) / 16)
            for phase in ("training", "inference"):
                energy = line[phase]["energy_pj"]
                ktap.equal(energy["pool"] > 0, line["method"] == "LoRAFusion")
                ktap.equal(energy["writes"], 0.0)
                ktap.equal(energy["host"], 40.0 * line[phase]["host_bytes"])
        # What the pool is charged for is what comes on top of the same passes without it.
        backbones = {(line["seed"], line["method"]): line["training"]["energy_pj"]["backbone"]
                     for line in lines}
        for seed in TINY["seeds"]:
            fused, alone = backbones[seed, "LoRAFusion"], backbones[seed, "LoRA"]
            assert abs(fused - alone) < 1e-9 * alone, (fused, alone)
        drawn = {tuple(line["configuration"]["modules"]) for line in lines
                 if line["method"] == "LoRAFusion"}
        ktap.equal(len(drawn), 2)
        rows = {row["method"]: row for row in result["methods"]}
        ktap.equal((rows["LoRA"]["difference"], rows["LoRA"]["low"], rows["LoRA"]["high"]), (0, 0, 0))
        ktap.equal(rows["zero-shot"]["trained"], 0)
        ktap.equal([rows[name]["endurance_tasks"] for name in rows], [None] * 4)
        claim, = result["claims"]
        ktap.equal(claim["holds"], claim["low"] > -0.01)
        ktap.equal(json.loads((made.out / "experiment.json").read_text()), result)
        assert (made.out / "experiment.svg").read_text().endswith("</svg>\n")
        text = (made.out / "experiment.md").read_text()
        for row in result["methods"]:
            assert "\n| %s | %.1f |" % (row["method"], 100 * row["accuracy"]) in text, (row, text)
        check_tables(text, 5)


def test_killed_at_any_run_it_goes_on_to_the_same_table():
    with rig() as made:
        # So many runs that the kill, which comes late on a busy machine, finds some left.
        made.write({**TINY, "seeds": list(range(1, 17))})
        runs = RUNS // len(TINY["seeds"]) * 16
        made.run("--tune")
        whole = made.run("--jobs", "1").json()
        for wanted in (1, 4):
            out = made.folder / ("killed-%d" % wanted)
            shutil.copytree(made.out, out)
            (out / "runs.jsonl").unlink()
            with subprocess.Popen([str(fixture.LFCTL), *made.words("--jobs", "2", out=out)],
                                  cwd=made.folder, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as child:
                while child.poll() is None and (not (out / "runs.jsonl").exists() or
                                                len(made.lines(out=out)) < wanted):
                    time.sleep(0.001)
                child.send_signal(signal.SIGKILL)
            done = (out / "runs.jsonl").read_text()
            assert done.count("\n") <= runs, done.count("\n")
            # What a kill in the middle of a write leaves.
            (out / "runs.jsonl").write_text(done + done.splitlines()[1][:40])
            ktap.equal(lasting(made.run("--jobs", "2", out=out).json()), lasting(whole))
            resumed = (out / "runs.jsonl").read_text()
            ktap.equal((resumed.startswith(done), len(resumed.splitlines())), (True, runs + 1))
            # Nothing is done again.
            ktap.equal(lasting(made.run(out=out).json()), lasting(whole))
            ktap.equal((out / "runs.jsonl").read_text(), resumed)


def test_lines_of_another_experiment_are_refused():
    with rig() as made:
        plain = {key: value for key, value in TINY.items() if key != "tuning"}
        plain["methods"] = [{key: value for key, value in method.items() if key != "trials"}
                            for method in TINY["methods"]]
        made.write(plain)
        made.run()
        before = (made.out / "runs.jsonl").read_bytes()
        made.write({**plain, "examples": 6})
        assert "belongs to another experiment" in made.run(status=fixture.FAILED).errors
        ktap.equal((made.out / "runs.jsonl").read_bytes(), before)
        made.write(plain)
        for damage in (b"{}\n", b"nothing\n", before.splitlines()[1] + b"\n"):
            (made.out / "runs.jsonl").write_bytes(before + damage)
            assert "runs.jsonl:%d: is no run" % (RUNS + 2) in made.run(status=fixture.FAILED).errors


def changed(path, value):
    """The tiny file with one value changed; None takes the key away."""
    content = copy.deepcopy(TINY)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


REFUSED = (
    (("schema_version",), 2, '"schema_version"'), (("schema_version",), None, '"schema_version"'),
    (("tasks",), [], '"tasks"'), (("tasks",), ["../task"], '"tasks"'), (("tasks",), ["task", "task"], '"tasks"'),
    (("tasks",), [".."], '"tasks"'), (("seeds",), [0], '"seeds"'), (("seeds",), [1, 1], '"seeds"'), (("seeds",), [1.5], '"seeds"'),
    (("seeds",), list(range(1, 70)), '"seeds"'), (("data",), "", '"data"'), (("data",), None, '"data"'),
    (("device",), "/dev/accel/accel0", '"device"'), (("device",), "inproc:ideal,memory=x", '"device"'),
    (("batch",), 0, '"batch"'), (("tokens",), 1, '"tokens"'), (("host_pj_byte",), -1, '"host_pj_byte"'),
    (("resample",), ["words"], '"resample"'), (("resample",), [], '"resample"'), (("resample",), 3, '"resample"'), (("surprise",), 1, '"surprise"'),
    (("methods",), [], '"methods"'), (("methods", 0), 7, '"methods[0].'), (("methods", 0, "method"), "magic", '"methods[0].method"'),
    (("methods", 1, "name"), "LoRA", '"methods[2].name"'), (("methods", 3, "pool"), None, '"methods[3].pool"'),
    (("methods", 2, "pool"), "pool", '"methods[2].pool"'), (("methods", 2, "rank"), 0, '"methods[2].rank"'),
    (("methods", 2, "rate"), "fast", '"methods[2].rate"'), (("methods", 2, "targets"), "q,x", '"methods[2].targets"'),
    (("methods", 1, "head"), "cosine", '"methods[1].head"'), (("methods", 2, "trials"), [{}], '"methods[2].trials"'),
    (("methods", 2, "trials", 1), {"rank": 3}, '"methods[2].trials[1].rank"'),
    (("methods", 2, "trials", 1), {"epochs": 0}, '"methods[2].trials[1].epochs"'),
    (("methods", 0, "trials"), [{}, {}], '"methods[0].trials"'), (("against",), "nobody", '"against"'),
    (("claims", 0, "method"), "nobody", '"claims[0].method"'), (("claims", 0, "margin_points"), -1, '"claims[0].margin_points"'),
    (("methods", 2, "place"), "moon", '"methods[2].place"'), (("methods", 3, "place"), "once", '"methods[3].place"'),
    (("methods", 3, "prune"), 1.5, '"methods[3].prune"'), (("methods", 2, "switch_off"), 0.1, '"methods[2].switch_off"'),
    (("methods", 3, "no_magnitude"), 1, '"methods[3].no_magnitude"'), (("methods", 2, "coefficients"), "block", '"methods[2].coefficients"'),
    (("methods", 3, "coefficients"), "layer", '"methods[3].coefficients"'), (("methods", 2, "l1"), 0.1, '"methods[2].l1"'),
    (("methods", 2, "settings_of"), "LoRAFusion", '"methods[2].settings_of"'), (("methods", 0, "settings_of"), "nobody", '"methods[0].settings_of"'),
    (("settings_from",), "x", '"settings_from"'), (("methods", 3, "targets"), "q", '"methods[3].targets"'),
    (("tuning", "tasks"), ["task"], '"tuning.tasks"'), (("tuning",), None, '"tuning"'), (("tuning", "more"), 1, '"tuning.more"'),
)


def test_bad_files_are_refused_and_the_key_is_named():
    with rig() as made:
        for path, value, says in REFUSED:
            made.write(changed(path, value))
            run = made.run("--tune", status=fixture.FAILED)
            assert says in run.errors, (path, value, run.errors)
        for text in ("", "[]", "{", '{"tasks": [], "tasks": []}', "[" * 5000, "\0"):
            made.write(text)
            made.run(status=fixture.FAILED)
        # Refused before anything is made.
        ktap.equal(sorted(path.name for path in made.out.glob("*")) if made.out.exists() else [], [])


def test_a_dry_run_says_how_long_and_makes_nothing():
    with rig() as made:
        before = sorted(made.folder.rglob("*"))
        found = made.run("--dry-run", "--jobs", "2").json()
        ktap.equal([row["runs"] for row in found["estimate"]], [2, 2, 2, 2, 2, 2, 2])
        ktap.equal((found["jobs"], found["estimated_s"] > 0), (2, True))
        # Two matrices of rank 2 for query and value of a block, in fp16; a bias and the width for each of two labels, in fp32.
        numbers = {row["method"]: (row["trained"], row["storage_bits"]) for row in found["estimate"]}
        ktap.equal(numbers["LoRA"], (2 * 2 * (fixture.HIDDEN + fixture.HIDDEN), 16 * 2 * 2 * 2 * fixture.HIDDEN))
        ktap.equal(numbers["linear probe"], (2 * (fixture.HIDDEN + 1), 32 * 2 * (fixture.HIDDEN + 1)))
        ktap.equal(sorted(made.folder.rglob("*")), before)


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
