#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same short training in a guest, after a second boot, and in the process: the same bits.

Once on each kind of arithmetic: a converter that loses nothing, and one that clips.
"""

import json
import os
import pathlib
import subprocess
import sys

import ktap

BUILD = pathlib.Path(os.environ.get("LF_BUILD", os.path.join(ktap.SOURCE, "build")))
SHORT = ["--steps", "4", "--epochs", "1", "--test-limit", "20", "--modules", "6"]


def run(name, preset):
    """The report of a short run on a device of these parameters."""
    out = BUILD / "test" / f"run-{name}"
    subprocess.run([os.path.join(ktap.SOURCE, "scripts", "run"), "--build", str(BUILD), "--out", str(out),
                    "--preset", preset, *SHORT], stdin=subprocess.DEVNULL,
                   stdout=sys.stderr, check=False)
    # Four steps promise no better accuracy, so the exit status says nothing here.
    return json.loads((out / "report.json").read_text())


def check(name, preset):
    report = run(name, preset)
    ktap.equal(report["device"]["kind"], "drm")
    ktap.equal(report["device"]["bus"], "pci")
    for what, same in report["inproc"]["same"].items():
        ktap.equal((what, same), (what, True))
    ktap.equal(report["adaptation"]["cells_written"], 0)
    ktap.equal(report["second_boot"]["cells_written"], 0)
    ktap.equal(report["second_boot"]["accuracy"], report["accuracy"]["lorafusion"])
    ktap.equal(report["second_boot"]["same_predictions"], True)
    if report["deploy"]["cells_written"] <= 0 or report["adaptation"]["mvm_count"] <= 0:
        raise AssertionError("the device counted no work")


def test_exact_arithmetic_gives_the_same_bits():
    check("exact", "ideal")


def test_clipping_converters_give_the_same_bits():
    check("clipping", "isaac,adc_bits=6")


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
