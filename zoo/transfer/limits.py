"""Take from this process, for good, all that reading a file that is already open does not need. For Linux."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys

_NO_NEW_FILES = 3  # standard input, output and error have these numbers; `poll` accepts this many descriptors
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_PARENT_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES, _SECCOMP = 1, 4, 38, 22  # numbers of prctl
_FILTER = 2

# numbers of the system calls that remain: the architecture's in <linux/audit.h>, then in order read, write, close,
# fstat, ppoll, lseek, mmap, mprotect, munmap, brk, rt_sigaction, rt_sigprocmask, rt_sigreturn, pread64, readv, writev,
# sched_yield, mremap, madvise, nanosleep, getpid, exit, getrusage, sigaltstack, gettid, futex, clock_gettime,
# clock_nanosleep, exit_group, newfstatat, rseq, getrandom; poll, on x86 alone
_CALLS = {
    "x86_64": (
        0xC000003E,
        "0 1 3 5 271 8 9 10 11 12 13 14 15 17 19 20 24 25 28 35 39 60 98 131 186 202 228 230 231 262 334 318 7",
    ),
    "aarch64": (
        0xC00000B7,
        "63 64 57 80 73 62 222 226 215 214 134 135 139 67 65 66 124 216 233 101 172 93 165 132 178 98 113 115 94 79 "
        "293 278",
    ),
}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # instructions of a seccomp filter
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refuse: EPERM


def isolate() -> None:
    """Take the network, where the system allows it, and core dumps; end with the parent. Call before other imports."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def lock(memory: int, seconds: int) -> None:
    """Limit what this process can do to computing, reading open files, and writing to open pipes.

    All modules that are needed afterward must have been imported.

    Args:
        memory: How many more bytes of address space it may use.
        seconds: How many more seconds of processor time.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(used.ru_utime + used.ru_stime) + seconds + 1
    _limit(resource.RLIMIT_AS, _address_space() + memory)
    _limit(resource.RLIMIT_CPU, processor)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, _NO_NEW_FILES)
    _refuse_calls()


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _address_space() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 1 << 30


def _refuse_calls() -> None:
    """Refuse all other system calls, where the system allows it: starting programs, sockets, opening files."""
    if platform.machine() not in _CALLS or sys.byteorder != "little":
        return
    architecture, calls = _CALLS[platform.machine()]
    numbers = [int(number) for number in calls.split()]
    program = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the system call
        *((_EQUAL, len(numbers) - position, 0, number) for position, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in program))
    filter_ = ctypes.create_string_buffer(struct.pack("<H6xQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        libc.prctl(_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(filter_)), 0, 0)
