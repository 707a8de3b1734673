"""Soaks up a virtual CPU's idle time and counts it: a process that runs only when nothing else wants the CPU.

With counted instructions an idle CPU makes QEMU's clock jump to the next timer, so that waiting for the emulated SSD would look like work or like
hours. With a soaker the CPU is never idle, the clock is the number of executed instructions, and the turns of the soaker's loop, all of one length,
say how many of them nobody needed.
"""

import mmap
import os
import signal
import time


class Soaker:
    def __init__(self):
        self._turns = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
        self.pid = os.fork()
        if self.pid == 0:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            soak(self._turns)

    def turns(self) -> int:
        return self._turns[0]

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def soak(turns: memoryview) -> None:
    number = 1 << 40  # an integer's cost depends on its size
    while True:
        number += 1
        turns[0] = number


def ns_per_turn(seconds: float) -> float:
    """The length of a turn. The guest must have nothing else to do."""
    soaker = Soaker()
    time.sleep(seconds / 4)
    begin, first = time.monotonic_ns(), soaker.turns()
    time.sleep(seconds)
    end, last = time.monotonic_ns(), soaker.turns()
    soaker.stop()
    return (end - begin) / (last - first)
