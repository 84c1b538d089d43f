#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows that are measured in a guest, through the driver: what a job costs beside its work.

tests/bench/guest/ has the programs. The device is QEMU's and the guest's processors are TCG's unless
ACCEL=kvm, so a value is worth something only beside another of the same run.
"""

import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["LF_SOURCE"])
BUILD = pathlib.Path(os.environ["LF_BUILD"])
TIMEOUT_S = "600"


def boot(words, command):
    """Run a command in a guest; its output."""
    done = subprocess.run(
        [SOURCE / "tools" / "vm" / "boot", "--build", BUILD, "--timeout", TIMEOUT_S, "--fail-on-splat",
         "--console", BUILD / "bench" / "guest" / "console.log", *words, "--", *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(done.returncode)
    return done.stdout.replace("\r\n", "\n")


def main():
    output = boot(["--device-option", "debug=on"], ["/usr/lib/lf/bench/bench_jobs"])
    print("\n".join(line for line in output.splitlines() if line.startswith("{")))


if __name__ == "__main__":
    main()
