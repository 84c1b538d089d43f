#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows that are measured in a guest, through the driver: what a job costs beside its work.

tests/bench/guest/ has the programs. bench_jobs runs empty jobs. timed_lfctl trains as `make run` does and
writes when its thread was in the library's job functions; QEMU's trace tells when the device executed a
job. The share of a step that is neither device nor host math is what neither covers. Both
overlap, so the shares of a step add up to more than one.

The device is QEMU's and the guest's processors are TCG's unless ACCEL=kvm, so a value is worth something
only beside another of the same run.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["LF_SOURCE"])
BUILD = pathlib.Path(os.environ["LF_BUILD"])
CACHE = pathlib.Path(os.environ.get("LF_CACHE") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "lorafusion"))
TIMEOUT_S = "900"
WARM_STEPS, STEPS = 2, 20
# Where LF_REG_INJECT is: a timeline has as many `clock` as a trace has reads of it.
CLOCK_REGISTER = "0xa0"
TRACE_EVENT = re.compile(r"^\d+@(\d+)\.(\d{6}):lf_accel_(register_read offset (\S+)|job_start|job_done)")
# Recipe of `make run`.
TRAIN = """set -e
recipe='--model /mnt/model --name bench --pool /mnt/pool --modules 20'
lfctl deploy $recipe --quiet --json >/dev/null
export LF_TIMELINE=/mnt/out/timeline
/usr/lib/lf/bench/timed_lfctl train $recipe --task /mnt/tasks/use --test-limit 10 --batch 10 --epochs 20 \\
	--steps %d --seed 1 --quiet --json >/dev/null
"""


def boot(words, command):
    """Run a command in a guest; its output."""
    done = subprocess.run(
        [SOURCE / "tools" / "vm" / "boot", "--build", BUILD, "--timeout", TIMEOUT_S, "--fail-on-splat",
         "--console", BUILD / "bench" / "guest" / "console.log", "--device-option", "debug=on",
         *words, "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(done.returncode)
    return done.stdout.replace("\r\n", "\n")


def read_trace(path):
    """Nanoseconds of reads of the clock's register, and intervals in which the device executed a job."""
    reads, jobs, started = [], [], None
    for line in path.read_text().splitlines():
        event = TRACE_EVENT.match(line)
        if not event:
            continue
        time_ns = int(event[1]) * 10**9 + int(event[2]) * 1000
        if event[4] == CLOCK_REGISTER:
            reads.append(time_ns)
        elif event[3] == "job_start":
            started = time_ns
        elif event[3] == "job_done":
            jobs.append((started, time_ns))
    return reads, jobs


def read_timeline(path):
    marks = {"call": [], "step": [], "clock": []}
    for line in path.read_text().splitlines():
        kind, start, end = line.split()
        marks[kind].append((int(start), int(end)))
    return marks


def offset(reads, marks):
    """Nanoseconds to add to the guest's clock for the trace's: each read lies within its mark."""
    low = max(read - end for read, (_, end) in zip(reads, marks))
    high = min(read + 1000 - start for read, (start, _) in zip(reads, marks))
    if low > high:
        raise SystemExit(f"guest.py: the clocks of guest and trace are apart by {low} to {high} ns")
    return (low + high) / 2


def to_guest_clock(reads, marks):
    """A function from the trace's clock to the guest's, from reads before and after the training."""
    if len(reads) != len(marks):
        raise SystemExit(f"guest.py: {len(reads)} reads of the clock are in the trace, {len(marks)} in the timeline")
    half = len(marks) // 2
    first, last = offset(reads[:half], marks[:half]), offset(reads[half:], marks[half:])
    begin, span = reads[half - 1], reads[half] - reads[half - 1]
    return lambda time_ns: time_ns - first - (last - first) * (time_ns - begin) / span


def covered(intervals, begin, end):
    """How much of begin to end lies in any of the intervals."""
    total, reached = 0, begin
    for start, stop in sorted(intervals):
        start, stop = max(start, reached), min(stop, end)
        if stop > start:
            total += stop - start
            reached = stop
    return total


def gaps(intervals, begin, end):
    """What lies between the intervals, which are in order."""
    edges = [begin] + [edge for interval in intervals for edge in interval] + [end]
    return list(zip(edges[::2], edges[1::2]))


def step_shares(begin, end, device, calls):
    """What of a step the device was at work, the host calculated, and neither did."""
    device = [job for job in device if job[1] > begin and job[0] < end]
    host = gaps([call for call in calls if begin <= call[0] and call[1] <= end], begin, end)
    shares = [covered(intervals, begin, end) / (end - begin) for intervals in (device, host, device + host)]
    return {"device": shares[0], "host_math": shares[1], "overhead": 1 - shares[2]}


def train_rows(timeline, trace):
    """Medians over the steps, without those that warm up."""
    marks = read_timeline(timeline)
    reads, jobs = read_trace(trace)
    clock = to_guest_clock(reads, marks["clock"])
    device = [(clock(start), clock(stop)) for start, stop in jobs]
    ends = [end for _, end in marks["step"]][WARM_STEPS - 1:]
    steps = list(zip(ends, ends[1:]))
    shares = [step_shares(begin, end, device, marks["call"]) for begin, end in steps]
    yield {"name": "guest.train_step", "unit": "ms",
           "value": statistics.median(end - begin for begin, end in steps) / 1e6}
    for part in ("device", "host_math", "overhead"):
        yield {"name": f"guest.train_step.{part}_share", "unit": "1",
               "value": statistics.median(share[part] for share in shares)}


def train():
    with tempfile.TemporaryDirectory(prefix="lf-bench-") as folder:
        out = pathlib.Path(folder)
        trace = ["-D", out / "trace", "-msg", "timestamp=on"]
        for event in ("register_read", "job_start", "job_done"):
            trace += ["-trace", f"lf_accel_{event}"]
        boot(["--memory-size", "1G", "--share", f"{CACHE / 'encoder'}:model:ro",
              "--share", f"{SOURCE / 'pool'}:pool:ro",
              "--share", f"{BUILD / 'data' / 'synopsis'}:tasks:ro", "--share", f"{out}:out",
              *(f"--qemu-option={word}" for word in trace)],
             ["sh", "-c", TRAIN % (WARM_STEPS + STEPS)])
        return list(train_rows(out / "timeline", out / "trace"))


def main():
    output = boot([], ["/usr/lib/lf/bench/bench_jobs"])
    print("\n".join(line for line in output.splitlines() if line.startswith("{")))
    for row in train():
        print(json.dumps(row))


if __name__ == "__main__":
    main()
