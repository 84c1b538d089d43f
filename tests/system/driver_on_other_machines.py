#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The driver on machines that the common guest is not: one that sleeps, one with an IOMMU, one whose
accelerator is pulled and put back."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import ktap

BUILD = pathlib.Path(os.environ.get("LF_BUILD", os.path.join(ktap.SOURCE, "build")))
BOOT = [os.path.join(ktap.SOURCE, "tools", "vm", "boot"), "--build", str(BUILD), "--device-option", "debug=on"]
TESTS = "/usr/lib/lf/tests"
SPLAT = re.compile(r"BUG: |WARNING: |Oops|Kernel panic|general protection fault|Call Trace:")


def boot(folder, *options, command):
    """Output of a command in a guest, and what the kernel said."""
    console = pathlib.Path(folder, "console.log")
    done = subprocess.run(BOOT + ["--console", str(console), "--timeout", "300", *options, "--", "sh", "-c", command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout, console.read_text(errors="replace")


def check(output, log):
    """Every test that was run has passed, at least one was, and the kernel has nothing to report."""
    failed = re.findall(r"^not ok.*|^# .*failed.*", output, re.MULTILINE)
    ktap.equal(failed, [])
    ktap.equal(bool(re.search(r"^ok (?!.*# SKIP)", output, re.MULTILINE)), True)
    ktap.equal(SPLAT.findall(log), [])


def test_jobs_outlast_sleep():
    """Shared folders do not wake up again, so the guest switches itself off without leaving a status."""
    with tempfile.TemporaryDirectory() as folder:
        check(*boot(folder, command=f"{TESTS}/power sleep; poweroff -n -f"))


def test_an_iommu_stands_between_device_and_memory():
    programs = "buffers multiply fences refresh"
    with tempfile.TemporaryDirectory() as folder:
        output, log = boot(folder, "--append", "intel_iommu=on iommu.strict=1", "--qemu-option=-device",
                           "--qemu-option=intel-iommu,intremap=off",
                           command=f"for program in {programs}; do {TESTS}/$program; done; "
                                   "ls /sys/kernel/iommu_groups | grep -c . >&2; dmesg | grep -c DMAR")
    check(output, log)
    ktap.equal("DMAR" in log or "Intel-IOMMU" in log or int(output.split()[-1]) > 0, True)


def test_a_device_that_ages_tells_of_it():
    """And budgets are settled with what verifying took."""
    worn = ("preset=wan2022", "wear_warning=1", "refresh_s=1", "program_row_ns=1000000000", "static_power_nw=1000000000")
    options = [word for parameter in worn for word in ("--device-option", parameter)]
    with tempfile.TemporaryDirectory() as folder:
        check(*boot(folder, *options, command=f"{TESTS}/events worn; {TESTS}/quota"))


class Plugger(threading.Thread):
    """Puts the accelerator back whenever it has left the bus."""

    DEVICE = {"driver": "lf-accel", "id": "lf0", "bus": "port0", "memdev": "cells", "debug": True}

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.plugged = 0

    def run(self):
        while not os.path.exists(self.path):
            time.sleep(0.1)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.path)
            stream = connection.makefile("rw")
            self.send(stream, "qmp_capabilities")
            for line in stream:
                message = json.loads(line)
                if message.get("event") == "DEVICE_DELETED" and message["data"].get("device") == "lf0":
                    # The slot needs a moment to be empty before something is in it again.
                    time.sleep(1)
                    self.send(stream, "device_add", self.DEVICE)
                    self.plugged += 1

    @staticmethod
    def send(stream, command, arguments=None):
        stream.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
        stream.flush()


def test_surprise_removal_in_every_state():
    with tempfile.TemporaryDirectory() as folder:
        plugger = Plugger(os.path.join(folder, "qmp"))
        plugger.start()
        # The port, not the firmware, is to tell the kernel that its slot is empty.
        check(*boot(folder, "--qmp", plugger.path, "--qemu-option=-global",
                    "--qemu-option=ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
                    command=f"{TESTS}/faults pull"))
    ktap.equal(plugger.plugged >= 5, True)


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
