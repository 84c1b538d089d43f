# SPDX-License-Identifier: MIT
"""An LF-1 in QEMU without a guest: the qtest protocol, rings and jobs from Python.

The layouts are those of uapi/lf/lf_hw.h. Whoever uses this is the driver: it owns the machine's
memory and keeps the rings. Any call raises Gone when QEMU is not there any more.
"""

import os
import pathlib
import socket
import struct
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("LF_BUILD",
                                    pathlib.Path(__file__).resolve().parents[2] / "build"))

REGISTERS = 0xe0000000
SLOT = 5
TAIL_DOORBELL, HEAD_DOORBELL = 0x2000, 0x2004
QUEUE_WINDOW, QUEUE_STRIDE = 0x3000, 0x40
CONTROL, TELEMETRY_LATCH, TIME_ADVANCE, TELEMETRY = 0x080, 0x090, 0x098, 0x1000
RING_ENTRIES = 8
RINGS, COMMANDS, LISTS, PAGES = 0x1000000, 0x1100000, 0x1200000, 0x1400000
PAGE = 4096

SUBMISSION = struct.Struct("<HHIQQIIQI20x")
COMMAND = struct.Struct("<HHIIIIII4x")
OPERAND = struct.Struct("<HHIQ")
COMPLETION = struct.Struct("<6Q10QIIQ104xHHHH")
MATRIX_INFO = struct.Struct("<IIBB2xIIIIIIIQ64sIII4xQQIIIII28x")
ACCOUNT = struct.Struct("<I4xQQQ")
PUBLICATION = struct.Struct("<64sIIII")

OP_PROGRAM, OP_READ = 4, 5
OP_CREATE, OP_COMMIT, OP_PUBLISH, OP_DELETE = 16, 17, 18, 19
OP_LIST, OP_ACCOUNT, OP_SANITIZE, OP_REFRESH = 20, 21, 22, 23
PRIVILEGED = 1
OK, NO_SPACE = 0, 4


class Gone(Exception):
    """QEMU has ended."""


class Record:
    """A completion record, as far as it is asked for here."""

    def __init__(self, data):
        fields = COMPLETION.unpack(data)
        self.cells_written, self.result = fields[11], fields[15]
        self.rows_done = fields[16]
        self.tag, self.status = fields[20], fields[21]


class Device:
    """A machine with one LF-1 whose cells are in a file, started, enabled, two queues open."""

    def __init__(self, file, size, options):
        path = f"{file}.qtest"
        listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen(1)
        self.process = subprocess.Popen(
            [BUILD / "qemu" / "qemu-system-x86_64", "-machine", "q35", "-accel", "qtest", "-m", "64M",
             "-nodefaults", "-display", "none", "-qtest", f"unix:{path}", "-qtest-log", "/dev/null",
             "-object", f"memory-backend-file,id=cells,mem-path={file},size={size},share=on",
             "-device", f"lf-accel,addr={SLOT},memdev=cells,{options}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        listener.settimeout(0.1)
        while True:
            try:
                self.socket = listener.accept()[0]
                break
            except socket.timeout:
                if self.process.poll() is not None:
                    raise Gone(self.process.stderr.read().decode()) from None
        listener.close()
        os.unlink(path)
        self.socket.settimeout(60)
        self.received = b""
        self._start()

    def kill(self):
        """End it as a power cut would."""
        self.process.kill()

    def close(self):
        """End it, however it is, and give back what it had."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.socket.close()

    def _ask(self, line):
        try:
            self.socket.sendall(line.encode() + b"\n")
            while b"\n" not in self.received:
                data = self.socket.recv(1 << 20)
                if not data:
                    raise Gone
                self.received += data
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None
        answer, self.received = self.received.split(b"\n", 1)
        words = answer.split()
        if words[:1] != [b"OK"]:
            raise AssertionError(f"{line[:60]}: {answer[:60]}")
        return words[1] if len(words) > 1 else b""

    def _configure(self, register, value):
        self._ask(f"outl 0xcf8 {0x80000000 | SLOT << 11 | register:#x}")
        self._ask(f"outl 0xcfc {value:#x}")

    def read_register(self, register):
        return int(self._ask(f"readl {REGISTERS + register:#x}"), 16)

    def write_register(self, register, value):
        self._ask(f"writel {REGISTERS + register:#x} {value:#x}")

    def write_memory(self, address, data):
        if data:
            self._ask(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def read_memory(self, address, size):
        return bytes.fromhex(self._ask(f"read {address:#x} {size:#x}").decode()[2:])

    def _start(self):
        self._configure(0x10, REGISTERS & 0xffffffff)
        self._configure(0x14, REGISTERS >> 32)
        self._configure(0x04, 0x6)
        self.write_register(CONTROL, 1)
        self.tails, self.heads, self.phases = [0, 0], [0, 0], [1, 1]
        for queue in (0, 1):
            window = QUEUE_WINDOW + QUEUE_STRIDE * queue
            submissions, completions = self._rings(queue)
            for register, value in ((0x00, submissions), (0x04, 0), (0x08, completions), (0x0c, 0),
                                    (0x10, RING_ENTRIES), (0x14, 1)):
                self.write_register(window + register, value)

    @staticmethod
    def _rings(queue):
        return RINGS + 0x10000 * queue, RINGS + 0x10000 * queue + 0x8000

    def run(self, opcode, queue=0, matrix=0, count=0, first=0, width=0, rank=0, account=0,
            privileged=False, source=None, target=None):
        """One command as one job; its record, and the bytes of the target.

        source: the bytes of its input and its stride; target: size and stride of its output.
        """
        buffers, operands, pages = b"", b"", PAGES
        for index, (size, stride) in enumerate(
                ((len(source[0]), source[1]) if source else (0, 0), target or (0, 0))):
            if not size:
                operands += OPERAND.pack(0, 0, 0, 0)
                continue
            operands += OPERAND.pack(1, len(buffers) // 16, stride, 0)
            listed = LISTS + 0x40000 * index
            needed = -(-size // PAGE)
            self.write_memory(listed, b"".join(struct.pack("<Q", pages + PAGE * page)
                                               for page in range(needed)))
            buffers += struct.pack("<QQ", listed, size)
            if index == 0:
                self.write_memory(pages, source[0])
            else:
                found = pages
            pages += PAGE * needed
        self.write_memory(COMMANDS, COMMAND.pack(opcode, 0, matrix, count, first, width, rank, 0) +
                          operands + 4 * OPERAND.pack(0, 0, 0, 0))
        self.write_memory(COMMANDS + PAGE, buffers)
        submissions, completions = self._rings(queue)
        tail = self.tails[queue]
        self.write_memory(submissions + SUBMISSION.size * tail, SUBMISSION.pack(
            tail, PRIVILEGED if privileged else 0, 1, COMMANDS,
            COMMANDS + PAGE if buffers else 0, len(buffers) // 16, 0, 0, account))
        self.tails[queue] = (tail + 1) % RING_ENTRIES
        self.write_register(TAIL_DOORBELL + 8 * queue, self.tails[queue])
        record = self._take(queue, completions)
        return record, self.read_memory(found, target[0]) if target else b""

    def _take(self, queue, completions):
        head, give_up = self.heads[queue], time.monotonic() + 60
        while True:
            data = self.read_memory(completions + COMPLETION.size * head, COMPLETION.size)
            if data[-2] & 1 == self.phases[queue]:
                break
            if time.monotonic() > give_up:
                raise AssertionError("a job does not end")
        self.heads[queue] = (head + 1) % RING_ENTRIES
        if self.heads[queue] == 0:
            self.phases[queue] ^= 1
        self.write_register(HEAD_DOORBELL + 8 * queue, self.heads[queue])
        return Record(data)

    def telemetry(self):
        """The telemetry block's 48 numbers."""
        self.write_register(TELEMETRY_LATCH, 1)
        return struct.unpack("<48Q", self.read_memory(REGISTERS + TELEMETRY, 48 * 8))
