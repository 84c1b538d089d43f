#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU is killed in the middle of everything that changes the cells, and started again on the same file.

After each kill every matrix must be what it was, what it was becoming, or absent; what was
acknowledged must be there, to the bit; what the ledger and the wear counters say must not have
become smaller. LF_KILLS sets the number of kills, LF_TEST_SEED repeats a run.
"""

import os
import pathlib
import random
import tempfile
import threading
import time

import ktap
import qtest_device
from qtest_device import Device, Gone

KILLS = int(os.environ.get("LF_KILLS", "3"))
SEED = int(os.environ.get("LF_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SIZE = 8 << 20
OPTIONS = "preset=isaac,tiles=96,matrices=12,accounts=4,durable=on"
ACCOUNTS = 3
COMMITTED, PUBLISHED = 2, 3
LIST_ENTRIES = 12


class Matrix:
    """What the device acknowledged of a matrix."""

    def __init__(self, rows, cols, account, weights):
        self.rows, self.cols, self.account, self.weights = rows, cols, account, weights
        self.name, self.refreshes, self.wear = b"", 0, 0


class World:
    """The file, what must be in it, and the one operation whose end is not known."""

    def __init__(self, file, draw):
        self.file, self.draw = file, draw
        self.matrices = {}
        self.unsure = None  # (operation, identifier, matrix, its name to be)
        self.cut = {}  # operations that a kill met
        self.written = [0] * ACCOUNTS
        self.cells_written = self.wear_max = self.time_ns = 0
        self.names = 0
        self.done = dict.fromkeys(("create", "commit", "publish", "delete", "refresh", "sanitize"), 0)

    def open(self):
        return Device(self.file, SIZE, OPTIONS)

    # Operations: each may be cut at any point, so what is unsure is noted before.

    def create(self, device):
        rows, cols = self.draw.randrange(1, 300), self.draw.randrange(1, 40)
        account = self.draw.randrange(ACCOUNTS)
        self.unsure = ("create", 0, None, b"")
        record, _ = device.run(qtest_device.OP_CREATE, first=rows, width=cols, account=account)
        if record.status == qtest_device.NO_SPACE:
            return self.delete(device)
        ktap.equal(record.status, qtest_device.OK)
        identifier = record.result
        self.unsure = ("program", identifier, None, b"")
        weights = bytes(self.draw.randrange(-127, 128) & 0xff for _ in range(rows * cols))
        row = 0
        while row < rows:
            count = min(rows - row, self.draw.randrange(1, 160))
            record, _ = device.run(
                qtest_device.OP_PROGRAM, queue=1, matrix=identifier, first=row, count=count,
                account=account, source=(weights[row * cols:(row + count) * cols], cols))
            ktap.equal((record.status, record.rows_done), (qtest_device.OK, count))
            self.written[account] += record.cells_written
            row += count
        self.done["create"] += 1
        matrix = Matrix(rows, cols, account, weights)
        self.unsure = ("commit", identifier, matrix, b"")
        record, _ = device.run(qtest_device.OP_COMMIT, matrix=identifier, account=account)
        ktap.equal(record.status, qtest_device.OK)
        self.unsure = None
        self.matrices[identifier] = matrix
        self.done["commit"] += 1

    def _any(self):
        return self.draw.choice(sorted(self.matrices)) if self.matrices else None

    def publish(self, device):
        identifier = self._any()
        if identifier is None:
            return
        self.names += 1
        name = b"name/%d" % self.names
        self.unsure = ("publish", identifier, self.matrices[identifier], name)
        body = qtest_device.PUBLICATION.pack(name, 1000, 100, 0o444, 0)
        record, _ = device.run(qtest_device.OP_PUBLISH, matrix=identifier, source=(body, 0))
        ktap.equal(record.status, qtest_device.OK)
        self.unsure = None
        self.matrices[identifier].name = name
        self.done["publish"] += 1

    def delete(self, device):
        identifier = self._any()
        if identifier is None:
            return
        self.unsure = ("delete", identifier, self.matrices.pop(identifier), b"")
        record, _ = device.run(qtest_device.OP_DELETE, matrix=identifier)
        ktap.equal(record.status, qtest_device.OK)
        self.unsure = None
        self.done["delete"] += 1

    def refresh(self, device):
        identifier = self._any()
        if identifier is None:
            return
        matrix = self.matrices[identifier]
        self.unsure = ("refresh", identifier, matrix, b"")
        record, _ = device.run(qtest_device.OP_REFRESH, matrix=identifier, account=matrix.account)
        ktap.equal(record.status, qtest_device.OK)
        self.unsure = None
        matrix.refreshes += 1
        self.written[matrix.account] += record.cells_written
        self.done["refresh"] += 1

    def sanitize(self, device):
        self.unsure = ("sanitize", 0, None, b"")
        record, _ = device.run(qtest_device.OP_SANITIZE, count=self.draw.randrange(1, 20))
        ktap.equal(record.status, qtest_device.OK)
        self.unsure = None
        self.done["sanitize"] += 1

    def work(self, device):
        """Some changes; then QEMU is killed within the time of two more, wherever it is."""
        kinds = [self.create] * 4 + [self.publish, self.delete, self.refresh, self.refresh,
                                     self.sanitize]
        whole, timer, started = self.draw.randrange(2, 14), None, time.monotonic()
        try:
            for number in range(1 << 30):
                if number == whole:
                    one = (time.monotonic() - started) / whole
                    timer = threading.Timer(self.draw.uniform(0, 2 * one), device.kill)
                    timer.start()
                self.draw.choice(kinds)(device)
                self.observe(device)
        except Gone:
            pass
        finally:
            if timer:
                timer.join()

    def observe(self, device):
        """Counters that the device has told never become smaller."""
        block = device.telemetry()
        for name, value in (("cells_written", block[18]), ("wear_max", block[23]),
                            ("time_ns", block[13])):
            if value < getattr(self, name):
                raise AssertionError(f"{name} was {getattr(self, name)} and is {value}")
            setattr(self, name, value)

    # What is found.

    def listed(self, device):
        record, data = device.run(
            qtest_device.OP_LIST, count=LIST_ENTRIES,
            target=(LIST_ENTRIES * qtest_device.MATRIX_INFO.size, qtest_device.MATRIX_INFO.size))
        ktap.equal(record.status, qtest_device.OK)
        found = {}
        for index in range(record.result):
            fields = qtest_device.MATRIX_INFO.unpack_from(
                data, index * qtest_device.MATRIX_INFO.size)
            found[fields[1]] = {"state": fields[2], "rows": fields[4], "cols": fields[5],
                                "account": fields[8], "wear": fields[10],
                                "name": fields[12].rstrip(b"\0"), "refreshes": fields[22]}
        return found

    def check(self, device):
        """Every matrix old, new or absent; nothing that was acknowledged is missing or less."""
        found = self.listed(device)
        if self.unsure:
            self.cut[self.unsure[0]] = self.cut.get(self.unsure[0], 0) + 1
            self.settle(found, *self.unsure)
            self.unsure = None
        ktap.equal(sorted(found), sorted(self.matrices))
        for identifier, matrix in self.matrices.items():
            entry = found[identifier]
            ktap.equal((entry["rows"], entry["cols"], entry["account"]),
                       (matrix.rows, matrix.cols, matrix.account))
            ktap.equal((entry["state"], entry["name"], entry["refreshes"]),
                       (PUBLISHED if matrix.name else COMMITTED, matrix.name, matrix.refreshes))
            if entry["wear"] < matrix.wear:
                raise AssertionError(f"wear of {identifier} was {matrix.wear}, is {entry['wear']}")
            matrix.wear = entry["wear"]
            record, weights = device.run(
                qtest_device.OP_READ, queue=1, matrix=identifier, count=matrix.rows, privileged=True,
                target=(len(matrix.weights), matrix.cols))
            ktap.equal(record.status, qtest_device.OK)
            if weights != matrix.weights:
                raise AssertionError(f"matrix {identifier} holds other weights")
        for account in range(ACCOUNTS):
            record, data = device.run(qtest_device.OP_ACCOUNT, first=account,
                                      target=(qtest_device.ACCOUNT.size, 0))
            ktap.equal(record.status, qtest_device.OK)
            written = qtest_device.ACCOUNT.unpack(data)[2]
            if written < self.written[account]:
                raise AssertionError(f"account {account} wrote {self.written[account]} cells, "
                                     f"the ledger says {written}")
            self.written[account] = written
        self.observe(device)

    def settle(self, found, operation, identifier, matrix, name):
        """Both ends of the operation that was cut are right; take the one that is found.

        A matrix that was not committed yet is not to be found.
        """
        entry = found.get(identifier)
        if operation in ("commit", "delete"):
            if entry is not None:
                self.matrices[identifier] = matrix
        elif operation == "publish":
            if entry is not None and entry["name"] == name:
                matrix.name = name
        elif operation == "refresh" and entry is not None:
            matrix.refreshes += entry["refreshes"] == matrix.refreshes + 1


def live(world, die):
    """One life of QEMU: check what it finds; unless it is the last, change things and be killed."""
    device = world.open()
    try:
        world.check(device)
        if die:
            world.work(device)
    finally:
        device.close()


def test_kills():
    print(f"# {KILLS} kills, LF_TEST_SEED={SEED}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(folder, "cells"), random.Random(SEED))
        for life in range(KILLS + 1):
            live(world, life < KILLS)
    print(f"# {len(world.matrices)} matrices in the end; " +
          ", ".join(f"{count} {name}" for name, count in world.done.items()) +
          f"; cut short: {world.cut}; {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    raise SystemExit(ktap.main(__import__("__main__")))
