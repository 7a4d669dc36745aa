"""How often Python asks its allocators for a block, exactly: a counter in front of each of their functions.

tracemalloc knows what is there, not how often something was asked for, and no other part of Python does. But allocators
may be replaced (PEP 445; tracemalloc does it). A replacement in Python would allocate itself, so it is a few
instructions of machine code: add one to a number, jump on to the allocator. Objects that come from free lists (frames,
small tuples, floats) are no requests, in a timed step as here.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys

DOMAINS = (1, 2)  # PYMEM_DOMAIN_MEM and _OBJ; the raw one is malloc, which needs no GIL and which others use as well
ROOM = 32  # bytes of each function
COUNTER = 8  # bytes of the number at the beginning


class _Allocator(ctypes.Structure):
    """PyMemAllocatorEx."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


class AllocationCount:
    """Counts requests for blocks of all threads that hold the GIL.

    Raises:
        RuntimeError: there is no such counter for this machine.
    """

    def __init__(self) -> None:
        if platform.machine() not in ("x86_64", "AMD64") or sys.implementation.name != "cpython":
            raise RuntimeError(f"allocations are counted by CPython on x86-64 only; this is {platform.machine()}")
        try:
            code = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
            self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=code)
        except OSError as error:
            raise RuntimeError(f"the system gives no memory for code: {error.strerror}") from None
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._number = ctypes.c_uint64.from_address(self._address)
        self._free = 2 * ROOM
        self._usual: list[tuple[int, _Allocator]] = []
        self._counting: list[tuple[int, _Allocator]] = []
        for domain in DOMAINS:
            usual = _Allocator()
            ctypes.pythonapi.PyMem_GetAllocator(ctypes.c_int(domain), ctypes.byref(usual))
            functions = [self._counted(address) for address in (usual.malloc, usual.calloc, usual.realloc)]
            self._usual.append((domain, usual))
            # What was allocated with the one is freed with the other: both are the same allocator.
            self._counting.append((domain, _Allocator(usual.context, *functions, usual.free)))
        self._own = 0  # requests of `start` and `stop` themselves
        for _ in range(3):  # the first ones fill free lists
            self.start()
            self._own += self.stop()

    def start(self) -> None:
        """Count from here on."""
        self._number.value = 0
        _install(self._counting)

    def stop(self) -> int:
        """Count no further; how many there were."""
        _install(self._usual)
        return int(self._number.value) - self._own

    def _counted(self, function: int) -> int:
        """The address of a function that adds one to the number and goes on as this one, its arguments untouched."""
        number, target = struct.pack("<Q", self._address), struct.pack("<Q", function)
        # mov rax, number; lock inc qword [rax]; mov rax, function; jmp rax. rax holds no argument, and is the caller's.
        code = b"\x48\xb8" + number + b"\xf0\x48\xff\x00" + b"\x48\xb8" + target + b"\xff\xe0"
        place, self._free = self._free, self._free + ROOM
        self._memory[place : place + len(code)] = code
        return self._address + place


def _install(allocators: list[tuple[int, _Allocator]]) -> None:
    for domain, allocator in allocators:
        ctypes.pythonapi.PyMem_SetAllocator(ctypes.c_int(domain), ctypes.byref(allocator))
