#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of what lfctl shows and does of the physics, on a tiny model: calibration, wear, refresh, single cells, studies."""

import json
import re
import sys
import xml.etree.ElementTree

import ktap
import lfctl_fixture as fixture
from lfctl_fixture import lfctl

TILES = "tiles=256"
# Every eighth cell is at a level that spreads as the years go by, but seldom beyond half a level.
DRIFTING = "inproc:isaac,%s,relax_sigma=0.001,relax_sigma_slope=0.0025,refresh_s=86400" % TILES
WORN = "inproc:isaac,%s,stuck_on=0.01,stuck_off=0.01,spare_weights=4,endurance=1000,endurance_spread=0.5" % TILES


def on(bench, device):
    """The bench's cells on another device."""
    bench.device = "%s,memory=%s" % (device, bench.cells)
    return bench


def call(bench, *words, **options):
    return lfctl(*words, "--device", bench.device, "--json", "--quiet", **options)


def names(bench):
    return [row["name"] for row in call(bench, "matrix", "list").json()["matrices"]]


def calibrate(bench, *words, **options):
    return call(bench, "calibrate", "--model", bench.model, "--pool", bench.pool, "--samples",
                bench.task / "train.jsonl", *words, **options)


def test_calibration_widens_steps_where_clips_cost_more():
    with fixture.bench() as bench:
        on(bench, "inproc:isaac,adc_bits=2," + TILES)
        bench.deploy()
        bench.train("--adapter", bench.out / "adapted")
        clips = bench.eval("--adapter", bench.out / "adapted").json()["inference"]["clips"]
        ktap.equal(clips > 0, True)
        calibrated = calibrate(bench).json()
        rows = calibrated["matrices"]
        ktap.equal(sorted(row["name"] for row in rows), sorted(names(bench)))
        ktap.equal({row["step_before"] for row in rows}, {1})
        ktap.equal(all(row["samples"] > 16 for row in rows if ".B" not in row["name"]), True)
        ktap.equal(any(row["step"] > 1 for row in rows), True)
        ktap.equal(calibrated["calibration"]["cells_written"], 0)
        left = bench.eval("--adapter", bench.out / "adapted").json()["inference"]["clips"]
        ktap.equal(left < clips, True)
        found = call(bench, "matrix", "info", rows[0]["name"]).json()["matrix"]
        ktap.equal(found["adc_step"], rows[0]["step"])


def test_deploying_can_calibrate():
    with fixture.bench() as bench:
        on(bench, "inproc:isaac,adc_bits=4," + TILES)
        bench.refused(bench.deploy, "--calibrate", bench.folder / "nothing", says="nothing")
        deployed = bench.deploy("--calibrate", bench.task / "train.jsonl").json()
        ktap.equal(sorted(row["name"] for row in deployed["matrices"]), sorted(names(bench)))
        ktap.equal(deployed["deploy"]["cells_written"] > 0, True)


def test_samples_are_sentences_or_json_lines():
    with fixture.bench() as bench:
        on(bench, "inproc:isaac,adc_bits=4," + TILES)
        bench.deploy()
        text = bench.out / "sentences"
        lines = [json.loads(line)["text"] for line in
                 (bench.task / "train.jsonl").read_text().splitlines()]
        text.write_text("\n".join(lines) + "\n")
        found = calibrate(bench).json()["matrices"]
        plain = calibrate(bench, "--samples", text).json()["matrices"]
        ktap.equal([(row["name"], row["step"]) for row in plain],
                   [(row["name"], row["step"]) for row in found])
        for content, says in ((b"", "empty"), (b"apple\n\npear\n", ":2: line is empty"),
                              (b"  \n", ":1: line is blank"), (b"\xff\n", "not UTF-8"),
                              (b'{"label": "x"}\n', "text")):
            text.write_bytes(content)
            bench.refused(calibrate_on(bench), "--samples", text, says=(str(text), says))


def calibrate_on(bench):
    return lambda *words, **options: calibrate(bench, *words, **options)


def test_a_refresh_brings_an_aged_matrix_back():
    def spread(bench, name):
        """How far cells are from the levels they were written to, in root mean square; a level is a third."""
        cells = call(bench, "matrix", "cells", name, "--rows", 0, "--cols", 0).json()["cells"]
        return (sum((cell["conductance"] - round(3 * cell["conductance"]) / 3) ** 2
                    for cell in cells) / len(cells)) ** 0.5

    with fixture.bench() as bench:
        on(bench, DRIFTING)
        bench.deploy()
        name = next(name for name in names(bench) if name.endswith("intermediate.dense"))
        fresh = spread(bench, name)
        ktap.equal(call(bench, "matrix", "refresh", "--due").json()["refreshed"], [])
        advanced = call(bench, "advance", "--time", "10y").json()
        ktap.equal(advanced["refresh_due"], len(names(bench)))
        aged = spread(bench, name)
        ktap.equal(aged > 5 * fresh, True)
        before = call(bench, "matrix", "info", name).json()["matrix"]
        ktap.equal((before["due"], before["refreshes"], before["age_ns"] > 3e17), (True, 0, True))
        refreshed = call(bench, "matrix", "refresh", name).json()["refreshed"]
        ktap.equal(refreshed, [{"name": name, "cells_written": before["cells"]}])
        after = call(bench, "matrix", "info", name).json()["matrix"]
        ktap.equal((after["due"], after["refreshes"], after["age_ns"] < 1e9), (False, 1, True))
        ktap.equal(after["wear_max"], before["wear_max"] + 1)
        ktap.equal(spread(bench, name) < aged / 5, True)
        rest = call(bench, "matrix", "refresh", "--due").json()["refreshed"]
        ktap.equal(sorted(row["name"] for row in rest),
                   sorted(other for other in names(bench) if other != name))
        run = call(bench, "matrix", "refresh", "nothing", status=fixture.FAILED)
        assert "nothing" in run.errors, run


def test_refreshing_brings_predictions_back():
    with fixture.bench() as bench:
        on(bench, DRIFTING)
        bench.deploy()
        bench.train("--adapter", bench.out / "adapted", "--epochs", "20")

        def predictions():
            path = bench.out / "predictions"
            bench.eval("--adapter", bench.out / "adapted", "--predictions", path)
            return path.read_text().splitlines()

        def same(found):
            return sum(one == other for one, other in zip(fresh, found))

        fresh = predictions()
        call(bench, "advance", "--time", "100y")
        aged = same(predictions())
        call(bench, "matrix", "refresh", "--due")
        refreshed = same(predictions())
        print("# %d of %d predictions stay after 100 years, %d after a refresh" %
              (aged, len(fresh), refreshed))
        ktap.equal((aged < refreshed, refreshed >= len(fresh) - 2), (True, True))


def test_a_refresh_is_paid_from_the_quota():
    with fixture.bench() as bench:
        on(bench, DRIFTING)
        written = bench.deploy().json()["deploy"]["cells_written"]
    with fixture.bench() as bench:
        on(bench, DRIFTING + ",default_quota=%d" % (written + 8))
        bench.deploy()
        call(bench, "advance", "--time", "1y")
        name = names(bench)[0]
        bench.refused(lambda *words, **options: call(bench, "matrix", "refresh", *words, **options),
                      name, says=(name, "write budget"))
        ktap.equal(call(bench, "matrix", "info", name).json()["matrix"]["refreshes"], 0)


def test_wear_counts_what_is_stuck_before_and_after():
    with fixture.bench() as bench:
        on(bench, WORN)
        bench.deploy()
        found = call(bench, "wear", "--cells").json()
        remapping, wear, census = found["remapping"], found["wear"], found["census"]
        ktap.equal(remapping["matrices"], len(names(bench)))
        ktap.equal(0 < remapping["stuck_after"] < remapping["stuck_before"], True)
        ktap.equal(remapping["spares"] > 0, True)
        ktap.equal(wear["cells_stuck"], remapping["stuck_after"])
        ktap.equal(census["stuck_on"] + census["stuck_off"], remapping["stuck_after"])
        ktap.equal(census["cells"], sum(row["cells"] for row in
                                        call(bench, "matrix", "list").json()["matrices"]))
        ktap.equal((census["wear_max"], wear["wear_max"], census["spare"] > 0), (1, 1, True))
        ktap.equal(0 < census["endurance_left"] < 999, True)
        ktap.equal(abs(sum(row["share"] for row in found["histogram"]) - 1) < 1e-9, True)
        ktap.equal({row["writes"] for row in found["histogram"]} <= {"0", "1"}, True)
        text = lfctl("wear", "--device", bench.device, "--quiet").output
        for line in ("stuck cells without spares +%d" % remapping["stuck_before"],
                     "columns replaced by spares +%d" % remapping["spares"]):
            if not re.search(line, text.replace(",", "")):
                raise AssertionError("no %r in %s" % (line, text))


def test_single_cells_hold_the_weights():
    with fixture.bench() as bench:
        on(bench, "inproc:isaac," + TILES)
        bench.deploy()
        name = names(bench)[0]
        found = call(bench, "matrix", "cells", name, "--row", 3, "--rows", 2, "--col", 1, "--cols",
                     4).json()
        cells = found["cells"]
        ktap.equal((len(cells), found["summary"]["cells"]), (2 * 4 * 8, 2 * 4 * 8))
        ktap.equal([(cell["row"], cell["col"], cell["side"], cell["slice"]) for cell in cells],
                   [(row, col, side, piece) for row in (3, 4) for col in range(1, 5)
                    for side in "+-" for piece in range(4)])
        ktap.equal(all(abs(3 * cell["conductance"] - round(3 * cell["conductance"])) < 1e-6
                       for cell in cells), True)
        ktap.equal({(cell["wear"], cell["endurance"], tuple(cell["flags"])) for cell in cells},
                   {(1, None, ())})
        for words, says in ((("--row", 32), "--row 32"), (("--row", 31, "--rows", 2), "--rows 2"),
                            (("--col", 32), "--col 32"), (("--col", 30, "--cols", 3), "--cols 3")):
            run = call(bench, "matrix", "cells", name, *words, status=fixture.FAILED)
            assert says in run.errors, run


def test_errors_of_a_device_are_told():
    for device, errors in (("inproc:ideal", []), ("inproc:isaac,program_sigma=0.01,ir_drop=fast,wire_mohm=1000",
                                                  ["programming noise", "IR drop"]),
                           ("inproc:isaac,stuck_on=0.001,endurance=1000", ["stuck cells", "endurance"])):
        ktap.equal(lfctl("info", "--device", device, "--json").json()["device"]["errors"], errors)


def study(bench, *words, out="study", **options):
    return lfctl("study", "--model", bench.model, "--pool", bench.pool, "--modules", "3", "--task",
                 bench.task, "--out", bench.out / out, "--epochs", "3", "--repeats", "2", "--signal",
                 "4", "--json", "--quiet", *words, **options)


SWEEPS = ("--sweeps", "adc,programming,stuck,time", "--adc-bits", "3,8", "--programming", "0,0.05",
          "--stuck", "0.05", "--ages", "1h,10y")


def test_a_study_measures_what_errors_cost():
    with fixture.bench() as bench:
        found = study(bench, *SWEEPS).json()
        ktap.equal(json.loads((bench.out / "study" / "study.json").read_text())["points"],
                   found["points"])
        points = {(point["sweep"], point["at"]): point for point in found["points"]}
        ktap.equal(sorted(points), sorted([("adc", "3"), ("adc", "8"), ("programming", "0"),
                                           ("programming", "0.05"), ("stuck", "0.05"),
                                           ("time", "1h"), ("time", "10y")]))
        for exact in (("adc", "8"), ("programming", "0")):
            ktap.equal((points[exact]["accuracy"], points[exact]["snr_db"], points[exact]["devices"]),
                       (found["ideal"]["accuracy"], None, 1))
        for noisy in (("programming", "0.05"), ("stuck", "0.05"), ("time", "10y")):
            ktap.equal((points[noisy]["devices"], 0 < points[noisy]["snr_db"] < 60), (2, True))
            # Errors that add up from layer to layer are more than those of each layer alone.
            ktap.equal(points[noisy]["snr_through_db"] < points[noisy]["snr_db"], True)
        ktap.equal(points["adc", "3"]["clip_share"] > 0, True)
        # What the base says of what is varied, the values of the sweep say instead.
        same = study(bench, "--sweeps", "adc", "--adc-bits", "3,8", "--device", "inproc:isaac,adc_bits=5",
                     out="of-other-bits").json()
        ktap.equal(same["points"], found["points"][:2])
        ktap.equal(len(found["layers"]), 7 * 6 * fixture.BLOCKS)
        drawing = xml.etree.ElementTree.parse(bench.out / "study" / "study.svg").getroot()
        words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("accuracy (%)", "signal to noise (dB)", "time since programming", "10y", "query"):
            ktap.equal(word in words, True)


def test_a_study_goes_on_where_it_was_interrupted():
    with fixture.bench() as bench:
        found = study(bench, *SWEEPS, "--jobs", "1").json()
        ktap.equal(study(bench, *SWEEPS, "--jobs", "3", out="other").json()["points"], found["points"])
        path = bench.out / "study" / "points.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        ktap.equal(study(bench, *SWEEPS).json(), found)
        ktap.equal(path.read_bytes(), b"".join(lines))
        path.write_bytes(b"".join(lines[:4]) + lines[4][:40])
        ktap.equal(study(bench, *SWEEPS).json(), found)
        ktap.equal(sorted(json.loads(line)["repeat"] for line in path.read_text().splitlines()[1:]),
                   sorted(json.loads(line)["repeat"] for line in lines[1:]))
        run = study(bench, *SWEEPS, "--seed", "2", status=fixture.FAILED)
        assert "another study" in run.errors, run
        for damage in (b"x\n", b"{}\n", lines[1].replace(b'"own":[', b'"own":[-')):
            path.write_bytes(lines[0] + damage + b"".join(lines[2:]))
            run = study(bench, *SWEEPS, status=fixture.FAILED)
            assert "points.jsonl:2" in run.errors, run


def test_a_study_of_what_was_learned_elsewhere_is_refused():
    with fixture.bench(deployed=True) as bench:
        pool = bench.folder / "other"
        fixture.write_pool(pool, modules=3, rank=2)
        bench.train("--adapter", bench.out / "adapted")
        run = study(bench, *SWEEPS, "--pool", pool, "--adapter", bench.out / "adapted",
                    status=fixture.FAILED)
        assert "trained with another pool" in run.errors, run
        run = study(bench, *SWEEPS, "--adapter", bench.task / "labels.json", status=fixture.FAILED)
        assert "labels.json" in run.errors, run


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
