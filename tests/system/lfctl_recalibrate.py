#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lfctl recalibrate: no cell is written, what is compared is complete and repeatable, and bad input is refused."""

import sys

import ktap
import lfctl_fixture as fixture


def recalibrate(bench, *words, **options):
    return fixture.lfctl("recalibrate", "--model", bench.model, "--pool", bench.pool, "--task", bench.task,
                         "--adapter", bench.out / "fused", "--samples", "4,8", "--seeds", "2", "--epochs", "2",
                         "--json", *words, **options)


def trained(bench):
    bench.train("--adapter", bench.out / "fused")


def test_it_writes_no_cell_and_reprogramming_all():
    with fixture.bench(deployed=True) as bench:
        trained(bench)
        for words in (("--device", "inproc:wan2022,tiles=256", "--age", "1y", "--stuck", "0.01"),
                      ("--device", "inproc:isaac,tiles=256", "--stuck", "0.002", "--calibrate"),
                      ("--device", "inproc:isaac,tiles=256", "--temperature", "85")):
            found = recalibrate(bench, *words).json()
            states = found["states"]
            ktap.equal([(state["state"], state["samples"]) for state in states],
                       [("deployed", 0), ("reprogrammed", 0), ("as it is", 0), ("recalibrated", 4),
                        ("recalibrated", 8)])
            ktap.equal([state["cells_written"] > 0 for state in states], [True, True, False, False, False])
            ktap.equal([state["spent_pj"] > 0 for state in states], [True, True, False, True, True])
            ktap.equal(states[4]["spent_pj"] > states[3]["spent_pj"], True)
            ktap.equal(all(0 <= state["accuracy"] <= 1 for state in states), True)
            ktap.equal((found["recalibration"]["seeds"], found["recipe"]["method"]), (2, "lorafusion"))
            ktap.equal(recalibrate(bench, *words).json()["states"], states)


def test_without_a_change_it_is_the_device_it_was():
    with fixture.bench(deployed=True) as bench:
        trained(bench)
        states = recalibrate(bench, "--device", "inproc:ideal,tiles=256").json()["states"]
        ktap.equal(len({state["accuracy"] for state in states[:3]}), 1)


def test_bad_input_is_refused():
    with fixture.bench(deployed=True) as bench:
        trained(bench)
        bench.train("--method", "bitfit", "--adapter", bench.out / "biases")
        device = ("--device", "inproc:ideal,tiles=256")
        for words, status, says in (
                ((*device, "--age", "1w"), fixture.USAGE, "--age 1w"),
                ((*device, "--samples", "8,,9"), fixture.USAGE, "--samples"),
                ((*device, "--samples", "0"), fixture.USAGE, "--samples"),
                ((*device, "--stuck", "0.7"), fixture.USAGE, "--stuck"),
                ((*device, "--samples", "17"), fixture.FAILED, "16 training examples"),
                ((*device, "--adapter", bench.out / "biases"), fixture.FAILED, "trained by bitfit"),
                (("--device", bench.device), fixture.USAGE, "memory="),
                (("--device", "/dev/accel/accel0"), fixture.USAGE, "in this process"),
                (("--device", "inproc:ideal,tiles=3"), fixture.FAILED, "free")):
            bench.refused(lambda *given, **options: recalibrate(bench, *given, **options), *words,
                          status=status, says=says)


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
