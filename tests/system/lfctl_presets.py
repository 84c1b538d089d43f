#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of lfctl preset: what is listed and shown, files that are refused, and a fit that a device is opened with."""

import math
import pathlib
import random
import sys
import tempfile

import ktap
import lfctl_fixture as fixture
from lfctl_fixture import lfctl

GOOD = "preset = isaac\nname = five\nadc_bits = 5\ntiles = 64\n"


def refused(*words, says, status=fixture.FAILED):
    """The call fails with nothing on standard output, and its message says what is wrong."""
    run = lfctl(*words, status=status)
    ktap.equal(run.output, "")
    if says not in run.errors:
        raise AssertionError("no %r in %r" % (says, run.errors))


def measure(path, cells=400):
    """Cells of 4 to 40 uS, verified to 1 uS from pulses of 4, that move by N(0, 1.5 + 0.1 ln t)."""
    draw = random.Random(4)
    with open(path, "w", encoding="ascii") as table:
        table.write("cell,target_us,measured_us,pulses,seconds\n")
        for cell in range(cells):
            target, pulses, conductance = 4 + draw.randrange(37), 0, math.inf
            while abs(conductance - target) > 1:
                conductance, pulses = draw.gauss(target, 4), pulses + 1
            direction = draw.gauss(0, 1)
            for seconds in (0, 1, 100, 10000):
                moved = direction * (1.5 + 0.1 * math.log(seconds)) if seconds else 0
                table.write("%d,%d,%.4f,%d,%d\n" % (cell, target, conductance + moved, pulses, seconds))


def test_presets_are_listed_and_shown():
    listed = {row["name"]: row for row in lfctl("preset", "list", "--json").json()["presets"]}
    assert {"ideal", "isaac", "wan2022", "falcone2025", "float"} <= set(listed), listed
    ktap.equal(listed["wan2022"]["pair"], "rows")
    ktap.equal(listed["ideal"]["adc_bits"], "ideal")
    for name in listed:
        lfctl("preset", "check", name)
        shown = lfctl("preset", "show", name, "--json").json()
        ktap.equal(shown["name"], name)
        values = {row["key"]: row["value"] for row in shown["parameters"]}
        ktap.equal(values["tile_rows"], str(listed[name]["tile_rows"]))
        assert all(row["meaning"] for row in shown["parameters"])


def test_a_file_in_a_presets_place():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "five.preset"
        path.write_text(GOOD, encoding="ascii")
        ktap.equal(lfctl("preset", "check", path, "--json").json(),
                   {"schema_version": 1, "name": "five", "possible": True})
        device = lfctl("info", "--device", "inproc:file=%s" % path, "--json").json()["device"]
        ktap.equal((device["preset"], device["adc_bits"], device["tiles"]), ("five", 5, 64))


def test_bad_files_are_refused():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "bad.preset"
        for text, says in ((b"", "preset: is missing"), (b"adc_bits = 5\n", "line 1: adc_bits"),
                           (b"preset = none\n", "line 1: preset"),
                           (GOOD.encode() + b"adc_bits = 6\n", "line 5: adc_bits: given twice"),
                           (GOOD.encode() + b"adc_step = 3\n", "adc_step: 3 is not a power of two"),
                           (GOOD.encode() + b"stuck_on = \0\n", "line 5"), (b"\xff" * 5000, "line 1")):
            path.write_bytes(text)
            refused("preset", "check", path, says=says)
            refused("info", "--device", "inproc:file=%s" % path, says=says, status=fixture.USAGE)
        refused("preset", "show", "nonesuch", says="neither a preset nor a file")
        refused("preset", "check", folder, says=folder)


def test_a_fit_makes_a_preset():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        measure(folder / "cells.csv")
        words = ("preset", "fit", folder / "cells.csv", "--base", "wan2022", "--name", "mine")
        fit = lfctl(*words, "--out", folder / "mine.preset", "--json").json()
        ktap.equal((fit["cells"], fit["measurements"]), (400, 1600))
        values = {row["key"]: row for row in fit["fitted"]}
        for key, truth in (("verify_tolerance", 1 / 40), ("relax_sigma", 1.5 / 40),
                           ("relax_sigma_slope", 0.1 / 40)):
            error = abs(values[key]["value"] - truth) / values[key]["standard_error"]
            assert error < 5, (key, values[key], truth)
        assert any(text.startswith("read_noise: not fitted") for text in fit["remarks"])
        ktap.equal(lfctl("preset", "check", folder / "mine.preset", "--json").json()["name"], "mine")
        ktap.equal(lfctl("preset", "fit", folder / "cells.csv", "--base", "wan2022", "--json").json()["fitted"],
                   fit["fitted"])

        before = (folder / "mine.preset").read_bytes()
        with open(folder / "cells.csv", "a", encoding="ascii") as table:
            table.write("7,20,twenty,1,0\n")
        refused(*words, "--out", folder / "mine.preset", "--force", says=":1602: column measured_us")
        ktap.equal((folder / "mine.preset").read_bytes(), before)
        (folder / "cells.csv").write_text("cell,target_us,measured_us,pulses,seconds\n1,4,4,1,0\n2,40,40,1,0\n",
                                          encoding="ascii")
        refused(*words, says="at least 30")
        refused(*words[:3], "--base", "nonesuch", says="--base nonesuch", status=fixture.USAGE)
        refused(*words[:3], "--name", "a name that is too long", says="--name", status=fixture.USAGE)


def test_a_fit_replaces_only_what_it_is_told_to():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cells, out = folder / "cells.csv", folder / "mine.preset"
        measure(cells)
        measured = cells.read_bytes()
        (folder / "symbolic.csv").symlink_to(cells)
        (folder / "hard.csv").hardlink_to(cells)
        for alias in (cells, folder / "symbolic.csv", folder / "hard.csv"):
            for force in ((), ("--force",)):
                refused("preset", "fit", cells, "--out", alias, *force, says="--out %s: is the file of the" % alias)
        out.write_bytes(b"somebody's")
        refused("preset", "fit", cells, "--out", out, says="--out %s: is there already" % out)
        ktap.equal((cells.read_bytes(), out.read_bytes()), (measured, b"somebody's"))
        lfctl("preset", "fit", cells, "--base", "wan2022", "--out", out, "--force", "--json").json()
        assert b"preset = wan2022" in out.read_bytes()
        lfctl("preset", "fit", cells, "--out", "/dev/null", "--json").json()
        ktap.equal(sorted(path.name for path in folder.iterdir()),
                   ["cells.csv", "hard.csv", "mine.preset", "symbolic.csv"])


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
