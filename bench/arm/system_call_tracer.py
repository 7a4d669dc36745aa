"""A program of its own: counts the system calls of one thread of another process, between two marks. Standard library.

    python -I -S system_call_tracer.py THREAD

By ptrace, as strace does it, which needs no privileges for a process that allows it (PR_SET_PTRACER); it begins when a
line comes in. It says `ready` when it watches, and at the second mark what it counted, as JSON; or why it cannot.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

END_MARK = 0x7FFFFFF1  # closing this descriptor, which nobody has, is a mark
SEIZE, SYSCALL, DETACH, LISTEN, INTERRUPT, INFO = 0x4206, 24, 17, 0x4208, 0x4207, 0x420E
GOOD_STOPS = 1  # PTRACE_O_TRACESYSGOOD: stops at system calls are told from signals
STOP_EVENT = 128
ALL_THREADS = 0x40000000  # __WALL
ENTRY = 1

# Of x86-64 and of the generic table (arm64, riscv), those that training loops are seen to make.
_X86 = [
    "read",
    "write",
    "open",
    "close",
    "stat",
    "fstat",
    "lstat",
    "poll",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "ioctl",
    "pread64",
    "pwrite64",
    "readv",
    "writev",
    "access",
    "pipe",
    "select",
    "sched_yield",
    "mremap",
    "msync",
    "mincore",
    "madvise",
    "shmget",
    "shmat",
    "shmctl",
    "dup",
    "dup2",
    "pause",
    "nanosleep",
    "getitimer",
    "alarm",
    "setitimer",
    "getpid",
    "sendfile",
    "socket",
    "connect",
    "accept",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "shutdown",
    "bind",
    "listen",
    "getsockname",
    "getpeername",
    "socketpair",
    "setsockopt",
    "getsockopt",
    "clone",
    "fork",
    "vfork",
    "execve",
    "exit",
    "wait4",
    "kill",
    "uname",
    "semget",
    "semop",
    "semctl",
    "shmdt",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "fcntl",
    "flock",
    "fsync",
    "fdatasync",
    "truncate",
    "ftruncate",
    "getdents",
    "getcwd",
    "chdir",
    "fchdir",
    "rename",
    "mkdir",
    "rmdir",
    "creat",
    "link",
    "unlink",
    "symlink",
    "readlink",
    "chmod",
    "fchmod",
    "chown",
    "fchown",
    "lchown",
    "umask",
    "gettimeofday",
    "getrlimit",
    "getrusage",
    "sysinfo",
    "times",
]
_X86_REST = {
    **{110: "getppid", 186: "gettid", 201: "time", 202: "futex", 203: "sched_setaffinity", 204: "sched_getaffinity"},
    **{217: "getdents64", 228: "clock_gettime", 230: "clock_nanosleep", 231: "exit_group", 232: "epoll_wait"},
    **{233: "epoll_ctl", 234: "tgkill", 257: "openat", 258: "mkdirat", 262: "newfstatat", 263: "unlinkat"},
    **{264: "renameat", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 290: "eventfd2"},
    **{291: "epoll_create1", 292: "dup3", 293: "pipe2", 302: "prlimit64", 309: "getcpu", 318: "getrandom"},
    **{319: "memfd_create", 332: "statx", 334: "rseq", 435: "clone3", 441: "epoll_pwait2"},
}
_GENERIC = {
    **{25: "fcntl", 29: "ioctl", 56: "openat", 57: "close", 62: "lseek", 63: "read", 64: "write", 79: "newfstatat"},
    **{80: "fstat", 98: "futex", 113: "clock_gettime", 115: "clock_nanosleep", 124: "sched_yield", 165: "getrusage"},
    **{
        172: "getpid",
        173: "getppid",
        214: "brk",
        215: "munmap",
        216: "mremap",
        222: "mmap",
        226: "mprotect",
        233: "madvise",
    },
}


def name_of(number: int, machine: str) -> str:
    """The name of a system call, or `call NUMBER`."""
    names = {**dict(enumerate(_X86)), **_X86_REST} if machine == "x86_64" else _GENERIC
    return names.get(number, f"call {number}")


class _Info(ctypes.Structure):
    """The beginning of ptrace_syscall_info, of an entry."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("rest", ctypes.c_uint64 * 4),
    )


class _Kernel:
    """ptrace of one thread."""

    def __init__(self, thread: int) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).ptrace
        self._call.restype = ctypes.c_long
        self.thread = thread

    def __call__(self, request: int, address: int = 0, data: object = 0) -> None:
        given = data if not isinstance(data, int) else ctypes.c_void_p(data)
        if self._call(ctypes.c_long(request), ctypes.c_long(self.thread), ctypes.c_void_p(address), given) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


def count(thread: int) -> dict[int, int]:
    """System calls by number, between two marks; says `ready` when the thread is watched.

    Raises:
        OSError: the kernel does not let it watch.
        ChildProcessError: the thread has ended.
    """
    kernel = _Kernel(thread)
    kernel(SEIZE, data=GOOD_STOPS)
    kernel(INTERRUPT)
    os.waitpid(thread, ALL_THREADS)
    kernel(SYSCALL)
    print("ready", flush=True)
    seen: dict[int, int] = {}
    marks = 0
    while True:
        _, status = os.waitpid(thread, ALL_THREADS)
        if not os.WIFSTOPPED(status):
            raise ChildProcessError("it has ended")
        stop, event = os.WSTOPSIG(status), status >> 16
        if stop == signal.SIGTRAP | 0x80:
            info = _Info()
            kernel(INFO, ctypes.sizeof(info), ctypes.byref(info))
            if info.op == ENTRY and info.arguments[0] == END_MARK:
                marks += 1
            elif info.op == ENTRY and marks:
                seen[info.number] = seen.get(info.number, 0) + 1
            if marks == 2:
                kernel(DETACH)
                return seen
            kernel(SYSCALL)
        elif event == STOP_EVENT and stop != signal.SIGTRAP:
            kernel(LISTEN)  # the process is held; it goes on when it is let go
        else:
            kernel(SYSCALL, data=0 if event else stop)  # a signal, which it gets


def main() -> None:
    """Count, and say what there was."""
    sys.stdin.readline()
    try:
        seen = count(int(sys.argv[1]))
    except OSError as error:
        print(f"ptrace: {error.strerror or error}", flush=True)
        return
    print(json.dumps({name_of(number, os.uname().machine): count for number, count in seen.items()}), flush=True)


if __name__ == "__main__":
    main()
