"""Reads what inside/perf.py brought home: perf's samples, with names from the guest's kernel, and the kernel's histogram of system calls."""

import bisect
import collections
import dataclasses
import pathlib
import re

from nvmf_lab import programs

_HIT = re.compile(r"common_pid: +(\d+), id: (\S+) +\[ *\d+\] *\} hitcount: +(\d+)")
_HEAD = re.compile(r"^\S.*? (\d+)/(\d+) +(\d+) *$")
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.+?)(?:\+0x[0-9a-f]+)? \((.*)\)$")
_FIRST_KERNEL_ADDRESS = 1 << 63


@dataclasses.dataclass
class Samples:
    stacks: list[tuple[list[str], float]] = dataclasses.field(default_factory=list)
    """Functions, innermost first, and the nanoseconds that the sample stands for."""

    def alone(self) -> collections.Counter:
        costs: collections.Counter = collections.Counter()
        for stack, cost in self.stacks:
            costs[stack[0]] += cost
        return costs

    def with_callees(self) -> collections.Counter:
        costs: collections.Counter = collections.Counter()
        for stack, cost in self.stacks:
            for function in set(stack):
                costs[function] += cost
        return costs


class KernelSymbols:
    """The guest's /proc/kallsyms; perf would not find the modules."""

    def __init__(self, path: pathlib.Path):
        rows = (line.split() for line in path.read_text().splitlines())
        symbols = sorted((int(row[0], 16), row[2]) for row in rows if row[1] in "tTwW")
        self._addresses = [address for address, _ in symbols]
        self._names = [name for _, name in symbols]

    def name(self, address: int) -> str:
        return self._names[bisect.bisect_right(self._addresses, address) - 1]


def read_samples(out: pathlib.Path, name: str, pid: int | None) -> Samples:
    """The samples of one process, or of all, in a file of perf's in a lab's folder. Read on this machine: in the guest it would take minutes."""
    script = programs.output_of(
        "perf", "script", "--force", "-i", str(out / name), "--symfs", str(_guest_root(out)), "-F", "comm,pid,tid,period,ip,sym,dso"
    )
    return parse(script, KernelSymbols(out / "kallsyms"), pid)


def parse(script: str, kernel: KernelSymbols, pid: int | None) -> Samples:
    samples = Samples()
    wanted = False
    for line in script.splitlines():
        if head := _HEAD.match(line):
            wanted = pid is None or int(head[1]) == pid
            if wanted:
                samples.stacks.append(([], int(head[3])))
        elif wanted and (frame := _FRAME.match(line)):
            samples.stacks[-1][0].append(_function(int(frame[1], 16), frame[2], frame[3], kernel))
    samples.stacks = [(stack, cost) for stack, cost in samples.stacks if stack]
    return samples


def system_calls(histogram: str, threads: set[str]) -> collections.Counter:
    """Counts by name of what the threads called."""
    calls: collections.Counter = collections.Counter()
    for thread, call, count in _HIT.findall(histogram):
        if thread in threads:
            calls[call.removeprefix("sys_")] += int(count)
    return calls


def _function(address: int, name: str, file: str, kernel: KernelSymbols) -> str:
    if address >= _FIRST_KERNEL_ADDRESS:
        return kernel.name(address)
    return f"[{file.rsplit('/', 1)[-1]}]" if name == "[unknown]" else name


def _guest_root(out: pathlib.Path) -> pathlib.Path:
    """A folder below which the guest's paths lead to the same files."""
    root = out / "root"
    root.mkdir(exist_ok=True)
    for name, target in {"usr": "/usr", "lib": "/lib", "lib64": "/lib64", "lab": str(out)}.items():
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    return root
