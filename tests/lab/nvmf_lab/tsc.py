"""The rate of this machine's time stamp counter. QEMU's emulation hands the counter to the guests as it is.

A guest's kernel would measure it against an emulated timer, and on a busy machine come out wrong by any factor: its clock would run fifteen
times too fast, and every timeout be fifteen times too short.
"""

import ctypes
import functools
import mmap
import platform
import time

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
_READ = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
_APART_S = 0.2
_TRIES = 50


@functools.cache
def khz() -> int | None:
    """None on a machine that has no such counter, where QEMU makes one up."""
    if platform.machine() != "x86_64":
        return None
    code = mmap.mmap(-1, len(_READ), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(_READ)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    first_ns, first = _both_clocks(read)
    time.sleep(_APART_S)
    last_ns, last = _both_clocks(read)
    return round((last - first) * 1e6 / (last_ns - first_ns))


def _both_clocks(read) -> tuple[int, int]:
    """Nanoseconds and the counter of the same moment: of many pairs, that with the least time around it."""
    pairs = []
    for _ in range(_TRIES):
        before, counter, after = time.monotonic_ns(), read(), time.monotonic_ns()
        pairs.append((after - before, (before + after) // 2, counter))
    return min(pairs)[1:]
