#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/run-tests counts what programs report, and believes none that ended badly."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import ktap

PROGRAMS = {
    "check": ("echo '75%: Checks: 4, Failures: 1, Errors: 0'; exit 1", (3, 1, 0)),
    "check_twice": ("echo '100%: Checks: 2, Failures: 0, Errors: 0';"
                    "echo '100%: Checks: 3, Failures: 0, Errors: 0'", (5, 0, 0)),
    "check_crash": ("echo '50%: Checks: 2, Failures: 0, Errors: 1'; exit 1", (1, 1, 0)),
    "tap": ("echo 'TAP version 13'; echo 1..3; echo 'ok 1 a'; echo 'not ok 2 b'; echo 'ok 3 c # SKIP d';"
            "exit 1", (1, 1, 1)),
    "nested": ("echo 1..1; echo '    not ok 1 inner'; echo 'ok 1 outer'", (1, 0, 0)),
    "prose": ("echo 1..1; echo 'okay then'; echo 'ok 1 real'", (1, 0, 0)),
    "dies": ("echo 1..3; echo 'ok 1 a'; kill -SEGV $$", (1, 2, 0)),
    "status_only": ("echo 1..1; echo 'ok 1 a'; exit 3", (1, 1, 0)),
    "silent": ("exit 0", (0, 1, 0)),
    "cannot_run": ("exit 4", (0, 0, 1)),
    "nothing_here": ("echo '1..0 # SKIP nothing'; exit 4", (0, 0, 1)),
}


def run(programs):
    """Exit status, last line and report of the runner over these programs as unit tests."""
    with tempfile.TemporaryDirectory() as build:
        folder = pathlib.Path(build, "tests", "unit")
        folder.mkdir(parents=True)
        for name in programs:
            program = folder / f"test_{name}"
            program.write_text(f"#!/bin/sh\n{PROGRAMS[name][0]}\n")
            program.chmod(0o755)
        done = subprocess.run([os.path.join(ktap.SOURCE, "scripts", "run-tests"), "--build", build, "unit"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        report = json.loads(pathlib.Path(build, "test", "report.json").read_text())
        return done.returncode, done.stdout.splitlines()[-1], report


def test_each_program_is_counted_as_it_reports():
    report = run(PROGRAMS)[2]
    found = {entry["name"]: (entry["passed"], entry["failed"], entry["skipped"])
             for entry in report["programs"]}
    ktap.equal(found, {f"test_{name}": counts for name, (_, counts) in PROGRAMS.items()})


def test_sums_end_the_output():
    status, line, _ = run(PROGRAMS)
    passed, failed, skipped = (sum(counts[field] for _, counts in PROGRAMS.values())
                               for field in range(3))
    ktap.equal((status, line), (1, f"{passed} passed, {failed} failed, {skipped} skipped"))


def test_success_needs_a_test():
    ktap.equal(run(["nested"])[:2], (0, "1 passed, 0 failed"))
    ktap.equal(run([])[:2], (1, "0 passed, 0 failed"))
    ktap.equal(run(["cannot_run"])[:2], (1, "0 passed, 0 failed, 1 skipped"))


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
