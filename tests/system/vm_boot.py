#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/vm/boot ends as the command in the guest ended, whatever way that was."""

import os
import pathlib
import subprocess
import sys
import tempfile

import ktap

BUILD = pathlib.Path(os.environ.get("LF_BUILD", os.path.join(ktap.SOURCE, "build")))


def boot(*options, command=()):
    """Exit status, standard output and standard error of a boot; without a device unless asked."""
    with tempfile.TemporaryDirectory() as folder:
        words = [os.path.join(ktap.SOURCE, "tools", "vm", "boot"), "--build", str(BUILD), "--console",
                 os.path.join(folder, "console.log"), *options]
        done = subprocess.run(words + (["--", *command] if command else []),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr


def test_status_and_output_are_those_of_the_command():
    status, output, _ = boot("--no-device", command=["sh", "-c", "echo 'a  b'; echo c >&2; exit 7"])
    ktap.equal(status, 7)
    ktap.equal(output, "a  b\nc\n")


def test_words_of_the_command_stay_words():
    status, output, _ = boot("--no-device", command=["printf", "%s|", "a b", "$HOME", "it's"])
    ktap.equal((status, output), (0, "a b|$HOME|it's|"))


def test_time_that_is_up_ends_the_guest():
    status, _, error = boot("--no-device", "--timeout", "10", command=["sleep", "1000"])
    ktap.equal(status, 124)
    ktap.equal("ended after 10 s" in error, True)


def test_panic_is_no_success():
    status, _, error = boot("--no-device", command=["sh", "-c", "echo c >/proc/sysrq-trigger"])
    ktap.equal(status, 125)
    ktap.equal("without a status" in error, True)


def test_kernel_warnings_fail_when_asked():
    report = "echo 'WARNING: CPU: 0 PID: 1 at nowhere' >/dev/kmsg"
    ktap.equal(boot("--no-device", command=["sh", "-c", report])[0], 0)
    ktap.equal(boot("--no-device", "--fail-on-splat", command=["sh", "-c", report])[0], 1)


def test_shares_are_written_or_not():
    with tempfile.TemporaryDirectory() as read, tempfile.TemporaryDirectory() as write:
        pathlib.Path(read, "given").write_text("from the host\n")
        status, output, _ = boot(
            "--no-device", "--share", f"{read}:read:ro", "--share", f"{write}:write",
            command=["sh", "-c", "cat /mnt/read/given; echo from the guest >/mnt/write/made;"
                                 "echo x 2>/dev/null >/mnt/read/made || exit 3"])
        ktap.equal((status, output), (3, "from the host\n"))
        ktap.equal(pathlib.Path(write, "made").read_text(), "from the guest\n")
        ktap.equal(os.listdir(read), ["given"])


def test_cells_outlive_the_guest():
    with tempfile.TemporaryDirectory() as folder:
        memory = ["--memory", f"{folder}/cells.img:256M", "--device-option", "tiles=64"]
        script = "test -e /dev/accel/accel0 && lfctl telemetry --json"
        status, output, _ = boot(*memory, command=["sh", "-c", script])
        ktap.equal(status, 0)
        ktap.equal('"schema_version"' in output, True)
        status, _, _ = boot(*memory, command=["sh", "-c", script])
        ktap.equal(status, 0)
        # Other parameters are another device: these cells are not its own.
        status, _, error = boot("--memory", f"{folder}/cells.img:256M", "--device-option", "tiles=65",
                                command=["true"])
        ktap.equal(status, 126)


def test_mistakes_are_named():
    for words, name in ((["--share", "/nowhere:tag"], "/nowhere"), (["--share", "/tmp:a/b"], "a/b"),
                        (["--memory", "cells.img"], "cells.img"), (["--accel", "xen"], "xen")):
        status, _, error = boot(*words, command=["true"])
        ktap.equal((status, name in error), (2, True))
    ktap.equal(boot()[0], 2)


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
