# SPDX-License-Identifier: MIT
"""Runs the test functions of a Python file and reports in KTAP."""

import os
import sys
import traceback

# The scripts under test are imported from the source tree, which must stay clean.
sys.dont_write_bytecode = True
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def fails(kind, function, *arguments):
    """Message of the exception of a kind that a call must raise."""
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError("no %s from %s%r" % (kind.__name__, function.__name__, arguments))


def equal(found, expected):
    """Fail and show both unless they are equal."""
    if found != expected:
        raise AssertionError("found %r, expected %r" % (found, expected))


def main(module):
    """Run every test_* function of a module in order; returns the exit status."""
    tests = [(name, test) for name, test in vars(module).items() if name.startswith("test_")]
    print("KTAP version 1\n1..%d" % len(tests))
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        title = name[len("test_"):].replace("_", " ")
        try:
            test()
            print("ok %d %s" % (number, title))
        except Skip as reason:
            print("ok %d %s # SKIP %s" % (number, title, reason))
        except Exception:
            failed += 1
            print("".join("# %s\n" % line for line in traceback.format_exc().splitlines()) +
                  "not ok %d %s" % (number, title))
        sys.stdout.flush()
    return 1 if failed else 0
