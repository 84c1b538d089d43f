#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training is killed at any moment, also while it saves, and resumed: the adaptation must be the same to the bit.

LF_TRAINING_KILLS sets the number of kills, LF_TEST_SEED repeats a run.
"""

import os
import random
import signal
import subprocess
import sys
import time

import ktap
import lfctl_fixture as fixture

KILLS = int(os.environ.get("LF_TRAINING_KILLS", "5"))
SEED = int(os.environ.get("LF_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
# A checkpoint after every step, so that many kills meet one being written.
OPTIONS = ("--epochs", "200", "--batch", "4", "--checkpoint-steps", "1", "--threads", "1", "--quiet")
METHODS = (("--method", "lorafusion"), ("--method", "lora", "--rank", "4"),
           ("--method", "lorafusion", "--merge", "product", "--head", "linear"))


def words(bench, name, method):
    return ["train", "--model", bench.model, "--pool", bench.pool, "--task", bench.task, "--device",
            bench.device, "--checkpoint", bench.out / (name + ".checkpoint"), "--adapter",
            bench.out / name, "--predictions", bench.out / (name + ".txt"), *OPTIONS, *method]


def learned(bench, name):
    """The bytes of everything a run left."""
    adapter = bench.out / name
    files = sorted(adapter.iterdir()) if adapter.is_dir() else [adapter]
    return [path.read_bytes() for path in [*files, bench.out / (name + ".txt"),
                                           bench.out / (name + ".checkpoint")]]


def killed(bench, name, method, seconds):
    """Whether a run that is killed after a time was still at work."""
    with subprocess.Popen([str(fixture.LFCTL), *map(str, words(bench, name, method))],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        errors = child.communicate()[1].decode()
    if child.returncode not in (0, -signal.SIGKILL):
        raise AssertionError("status %d: %s" % (child.returncode, errors))
    return child.returncode != 0


def test_training_that_is_killed_goes_on_to_the_same_bits():
    print("# LF_TEST_SEED=%d, %d kills" % (SEED, KILLS))
    draw = random.Random(SEED)
    wholes, met, saving, runs = {}, 0, 0, 0
    with fixture.bench(deployed=True) as bench:
        for number, method in enumerate(METHODS):
            began = time.monotonic()
            fixture.lfctl(*words(bench, "whole-%d" % number, method))
            wholes[method] = (learned(bench, "whole-%d" % number), time.monotonic() - began)
        while met < KILLS:
            method = METHODS[runs % len(METHODS)]
            name = "killed-%d" % runs
            runs += 1
            whole, seconds = wholes[method]
            # Two or three times in one run, until it gets to its end.
            while met < KILLS and killed(bench, name, method, draw.uniform(0.02, 0.6 * seconds)):
                met += 1
                left = [path for path in bench.out.iterdir() if path.name.startswith(name)]
                saving += any(path.name not in (name, name + ".txt", name + ".checkpoint")
                              for path in left)
            fixture.lfctl(*words(bench, name, method))
            ktap.equal([one == other for one, other in zip(learned(bench, name), whole)],
                       [True] * len(whole))
    print("# %d runs, %d of the kills met a file being written" % (runs, saving))


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
