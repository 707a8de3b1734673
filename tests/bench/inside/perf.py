"""Runs in the guest around a window: samples what it executes (perf), and counts the system calls of each thread (a histogram of the kernel).

The samples come by a timer of the kernel's, so with counted instructions they are one every so many instructions. The timer is the CPU's: one of
a task starts when the task does, and would always catch a program that does the same in each round at the same place.
"""

import os
import signal
import subprocess

PERIOD_NS = 59_981
HISTOGRAM = "/sys/kernel/tracing/events/raw_syscalls/sys_enter"
TRIGGER = "hist:keys=common_pid,id.syscall:size=4096"


class Sampler:
    """Samples from here to stop(). perf itself starts and ends slowly, so it waits for commands."""

    def __init__(self, output: str):
        control, self._commands = os.pipe()
        self._answers, answer = os.pipe()
        what = ["-a", "-e", "cpu-clock", "-c", str(PERIOD_NS), "-g"]
        quickly = ["-q", "-N", "-B", "--no-bpf-event", "--buildid-all"]
        orders = ["-D", "-1", "--control", f"fd:{control},{answer}"]
        self._perf = subprocess.Popen(["perf", "record", *quickly, *what, *orders, "-o", output], pass_fds=(control, answer))
        os.close(answer)
        self._folder = os.path.dirname(output)
        self._order("enable")

    def stop(self) -> None:
        self._order("disable")
        self._perf.send_signal(signal.SIGINT)
        self._perf.wait()
        with open("/proc/kallsyms") as symbols, open(self._folder + "/kallsyms", "w") as copy:
            copy.write(symbols.read())

    def _order(self, order: str) -> None:
        os.write(self._commands, order.encode() + b"\n")
        if not os.read(self._answers, 16).startswith(b"ack"):
            raise SystemExit(f"perf did not {order}: is linux-perf installed?")


class SystemCalls:
    def __init__(self):
        self._write(TRIGGER)

    def stop(self) -> str:
        with open(HISTOGRAM + "/hist") as file:
            counted = file.read()
        self._write("!" + TRIGGER)
        return counted

    def _write(self, what: str) -> None:
        with open(HISTOGRAM + "/trigger", "w") as file:
            file.write(what)
