"""Where the instructions go: by task of the guest, by system call and by function of the daemon. Prints as it goes."""

import bisect
import collections
import pathlib
import re

from nvmf_lab import programs
from nvmf_lab.lab import Lab

from .contenders import Contender
from .jobs import Job
from .measure import Meter

LINES = 40
SAMPLED_NS = 50_000  # inside/perf.py's PERIOD_NS
_HIT = re.compile(r"common_pid: +(\d+), id: (\S+) +\[ *\d+\] *\} hitcount: +(\d+)")
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.+?)(?:\+0x[0-9a-f]+)? \((.*)\)$")
_FIRST_KERNEL_ADDRESS = 1 << 63


class Profiler:
    def __init__(self, lab: Lab, meter: Meter):
        self._lab, self._meter = lab, meter

    def show(self, job: Job, contender: Contender) -> None:
        if contender.process is None:
            figures = self._meter.run(job, contender)
            _title(job, contender, f"{figures.cost_ns / 1000:.1f} k per I/O")
            _show("by task", figures.by_task)
            return
        name = f"{job.name}.{contender.name}"
        said = self._meter.window(job, contender, samples=f"/results/{name}.perf")
        figures = self._meter.figures(said)
        _title(job, contender, f"{figures.cost_ns / 1000:.1f} k per I/O, {figures.own_ns / 1000:.1f} k of them its own")
        _show("by task", figures.by_task)
        own = {tid for tid, task in said["end"]["tasks"].items() if task.get("own")}
        print("system calls per I/O of its threads")
        for call, count in system_calls(said["system_calls"], own).most_common(12):
            print(f"  {count / said['ios']:10.3f}  {call}")
        self._show_functions(name, said["sampled_ios"])

    def _show_functions(self, name: str, ios: int) -> None:
        samples = read_samples(self._script(name), KernelSymbols(self._lab.out / "kallsyms"))
        (self._lab.out / f"{name}.stacks").write_text("\n".join(";".join(reversed(stack)) + " 1" for stack in samples) + "\n")
        alone: collections.Counter = collections.Counter(stack[0] for stack in samples)
        below: collections.Counter = collections.Counter(frame for stack in samples for frame in set(stack))
        share = SAMPLED_NS / max(1, ios)
        _show("by function alone", {frame: count * share for frame, count in alone.items()})
        _show("by function with all it calls", {frame: count * share for frame, count in below.items()})
        print(f"stacks, one per line: {self._lab.out / name}.stacks")

    def _script(self, name: str) -> str:
        """perf's samples as text. Read on this machine: in the guest it would take minutes."""
        out = self._lab.out
        root = out / "root"  # where the guest's paths lead to the same files
        root.mkdir(exist_ok=True)
        for folder in ("usr", "lib", "lib64", "work"):
            if pathlib.Path("/", folder).exists() and not (root / folder).exists():
                (root / folder).symlink_to(pathlib.Path("/", folder))
        if not (root / "results").exists():
            (root / "results").symlink_to(out)
        return programs.output_of(
            "perf", "script", "--force", "-i", str(out / f"{name}.perf"), "--symfs", str(root), "-F", "comm,tid,time,ip,sym,dso"
        )


def system_calls(histogram: str, tids: set[str]) -> collections.Counter:
    """Counts by name of what the threads called."""
    calls: collections.Counter = collections.Counter()
    for tid, call, count in _HIT.findall(histogram):
        if tid in tids:
            calls[call.removeprefix("sys_")] += int(count)
    return calls


class KernelSymbols:
    """The guest's /proc/kallsyms; perf would not find the modules."""

    def __init__(self, path: pathlib.Path):
        symbols = sorted((int(address, 16), name) for address, kind, name in (line.split()[:3] for line in open(path)) if kind in "tTwW")
        self._addresses = [address for address, _ in symbols]
        self._names = [name for _, name in symbols]

    def name(self, address: int) -> str:
        return self._names[bisect.bisect_right(self._addresses, address) - 1]


def read_samples(script: str, kernel: KernelSymbols) -> list[list[str]]:
    """Stacks, innermost function first."""
    stacks: list[list[str]] = []
    for line in script.splitlines():
        if line and not line[0].isspace():
            stacks.append([])
        elif found := _FRAME.match(line):
            address, function, where = int(found[1], 16), found[2], found[3]
            if address >= _FIRST_KERNEL_ADDRESS:
                function = kernel.name(address)
            stacks[-1].append(function if function != "[unknown]" else f"[{where.rsplit('/', 1)[-1]}]")
    return [stack for stack in stacks if stack]


def _title(job: Job, contender: Contender, text: str) -> None:
    print(f"\n== {job.name} {contender.name}: {text}")


def _show(what: str, costs: dict[str, float]) -> None:
    """Of costs in instructions (nanoseconds) per I/O, the largest."""
    print(f"{what}, thousands per I/O")
    for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:LINES]:
        if cost >= 20:
            print(f"  {cost / 1000:10.2f}  {name[:100]}")
