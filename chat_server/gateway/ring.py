"""Many sockets in one system call: Linux's io_uring, by ctypes.

Laws. What `send` is asked for has happened when it answers: every write is tried once and never waits for a slow peer.
So nothing stays under way, and an entry may be forgotten as soon as its socket is closed. Where the kernel has no
io_uring, or forbids it as most containers do, there is no Ring: transports write then, one by one (docs/adr/0019).

Layouts and numbers: <linux/io_uring.h>, io_uring_setup(2), io_uring_enter(2).
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
from array import array
from collections.abc import Sequence

WRITES = 512  # in one call

_SETUP, _ENTER = 425, 426  # the same on every architecture
_SUBMIT_ALL, _COOP_TASKRUN, _SINGLE_ISSUER = 1 << 7, 1 << 8, 1 << 12  # Linux 6.0 and newer
_RINGS_AT, _ENTRIES_AT = 0, 0x10000000
_SEND, _SKIP_SUCCESS = 26, 1 << 6
# A write that was cut short counts as failed, and so is told, by WAITALL; beside DONTWAIT that waits for nothing.
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL | socket.MSG_WAITALL
_PARAMS = struct.Struct("=10I 8IQ 8IQ")  # sizes and flags; where the parts of one queue are, and of the other
_ENTRY = struct.Struct("=BBHiQQIIQQQQ")  # opcode, flags, -, socket, -, address, size, flags, what to call it, -, -, -
_DATA = struct.Struct("=QI")  # address and size, _DATA_AT in an entry
_DATA_AT, _WORDS, _HALVES = 16, _ENTRY.size // 8, _ENTRY.size // 4
_DONE = struct.Struct("=QiI")  # what it was called, result, -

_libc = ctypes.CDLL(None, use_errno=True)
_address_of = ctypes.pythonapi.PyBytes_AsString
_address_of.restype, _address_of.argtypes = ctypes.c_void_p, [ctypes.py_object]


def entry_for(descriptor: int) -> bytes:
    """A write to this socket, but for what is written: made once for each, and joined with those of others."""
    return _ENTRY.pack(_SEND, _SKIP_SUCCESS, 0, descriptor, 0, 0, 0, _FLAGS, descriptor, 0, 0, 0)


def sends_of(entries: Sequence[bytes], data: bytes) -> bytearray:
    """The writes of the same data to all of these. Keep `data` until they were sent."""
    block = bytearray().join(entries)
    if len(block) == _ENTRY.size:
        _DATA.pack_into(block, _DATA_AT, _address_of(data), len(data))
        return block
    count = len(block) // _ENTRY.size
    memoryview(block).cast("Q")[_DATA_AT // 8 :: _WORDS] = array("Q", (_address_of(data),)) * count
    memoryview(block).cast("I")[_DATA_AT // 4 + 2 :: _HALVES] = array("I", (len(data),)) * count
    return block


class Ring:
    """One worker's, used by its event loop's thread only. OSError where there is none to be had."""

    def __init__(self) -> None:
        params = bytearray(_PARAMS.size)
        _PARAMS.pack_into(params, 0, 0, 0, _SUBMIT_ALL | _COOP_TASKRUN | _SINGLE_ISSUER, *[0] * 25)
        descriptor = _libc.syscall(_SETUP, WRITES, (ctypes.c_char * len(params)).from_buffer(params))
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            self._map(descriptor, _PARAMS.unpack(params))
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if not self._tells_what_was_taken():
            self.close()
            raise OSError(errno.ENOTSUP, "it forgets what a socket took before it was full")  # kernels before 6.1

    def close(self) -> None:
        self._words.release()
        for part in (self._rings, self._entries):
            part.close()  # each keeps the ring open
        os.close(self._descriptor)

    def submit(self, block: bytearray) -> dict[int, int]:
        """Do all these writes. Answers the sockets that did not take all of it, and how many bytes they took."""
        failed: dict[int, int] = {}
        whole = memoryview(block)
        for start in range(0, len(block), WRITES * _ENTRY.size):
            self._submit(whole[start : start + WRITES * _ENTRY.size], failed)
        return failed

    def _map(self, descriptor: int, params: tuple[int, ...]) -> None:
        asked, done = params[10:19], params[19:28]
        size = max(asked[6] + 4 * params[0], done[5] + _DONE.size * params[1])
        self._rings = mmap.mmap(descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=_RINGS_AT)
        self._entries = mmap.mmap(
            descriptor, WRITES * _ENTRY.size, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=_ENTRIES_AT
        )
        self._words = memoryview(self._rings).cast("I")
        self._words[asked[6] // 4 : asked[6] // 4 + WRITES] = array("I", range(WRITES))
        self._asked_at, self._asked = asked[1] // 4, 0  # how many writes were ever put in
        self._done_from, self._done_at, self._results, self._done_size = done[0] // 4, done[1] // 4, done[5], params[1]

    def _tells_what_was_taken(self) -> bool:
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            data = bytes(4 * near.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
            taken = self.submit(sends_of([entry_for(near.fileno())], data)).get(near.fileno(), len(data))
            near.close()
            came = 0
            while size := len(far.recv(len(data))):
                came += size
        return 0 < taken == came < len(data)

    def _submit(self, part: memoryview, failed: dict[int, int]) -> None:
        count = len(part) // _ENTRY.size
        at = self._asked % WRITES * _ENTRY.size
        first = min(len(part), len(self._entries) - at)
        self._entries[at : at + first] = part[:first]
        self._entries[: len(part) - first] = part[first:]
        self._words[self._asked_at] = (self._asked + count) % 2**32
        taken = max(0, _libc.syscall(_ENTER, self._descriptor, count, 0, 0, None, 0))
        self._asked = (self._asked + taken) % 2**32
        if taken < count:  # the kernel is out of memory: nobody has tried those
            self._words[self._asked_at] = self._asked
            failed.update((_ENTRY.unpack_from(part, i * _ENTRY.size)[3], 0) for i in range(taken, count))
        self._hear(failed)

    def _hear(self, failed: dict[int, int]) -> None:
        words, at = self._words, self._words[self._done_from]
        until = words[self._done_at]
        while at != until:
            where = self._results + at % self._done_size * _DONE.size
            descriptor, result, _ = _DONE.unpack_from(self._rings, where)
            failed[descriptor] = max(0, result)
            at = (at + 1) % 2**32
        words[self._done_from] = at
