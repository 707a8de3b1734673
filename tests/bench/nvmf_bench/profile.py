"""Where the instructions go: by task of the guest, by system call and by function of the daemon. Prints as it goes."""

import collections
import pathlib

from nvmf_lab.lab import Lab

from .contenders import Contender
from .jobs import Job
from .measure import Meter
from .samples import Samples, read_samples, system_calls

LINES = 45
LEAST = 20  # instructions per I/O that are worth a line


class Profiler:
    def __init__(self, lab: Lab, meter: Meter):
        self._lab, self._meter = lab, meter

    def show(self, job: Job, contender: Contender) -> None:
        name = f"{job.name}.{contender.name}"
        more = {"samples": f"/results/{name}.perf"} if contender.process else {}
        said = self._meter.window(job, contender, profile=True, **more)
        figures = self._meter.figures(said, contender)
        own = f", {figures.own_ns / 1000:.1f} k of them its own" if figures.own_ns else ""
        print(f"\n== {job.name} {contender.name}: {figures.cost_ns / 1000:.1f} k per I/O{own}")
        _show("by task, interrupts with whom they interrupted", by_task(said["tasks"]))
        if contender.process:
            self._show_calls(contender.process.pid, said["system_calls"])
            self._show_functions(name, contender.process.pid, said["samples"]["ios"])

    def _show_calls(self, pid: int, said: dict) -> None:
        threads = self._lab.target.run(f"ls /proc/{pid}/task").stdout.split()
        print("system calls of its threads, per I/O")
        for call, count in system_calls(said["histogram"], set(threads)).most_common(12):
            print(f"  {count / said['ios']:10.3f}  {call}", flush=True)

    def _show_functions(self, name: str, pid: int, ios: int) -> None:
        samples = read_samples(self._lab.out, f"{name}.perf", pid)
        stacks = self._lab.out / f"{name}.stacks"
        _write_stacks(stacks, samples)
        _show("by function alone", {function: cost / ios for function, cost in samples.alone().items()})
        _show("by function with all it calls", {function: cost / ios for function, cost in samples.with_callees().items()})
        print(f"stacks, as flame graphs want them: {stacks}", flush=True)


def by_task(said: dict) -> dict[str, float]:
    """Cost per I/O by name of the task."""
    begin, end = said["begin"], said["end"]
    costs: collections.Counter = collections.Counter()
    for thread, task in end["tasks"].items():
        costs[_family(task["name"])] += task["ns"] - begin["tasks"].get(thread, {"ns": 0})["ns"]
    return {name: cost / (end["ios"] - begin["ios"]) for name, cost in costs.items()}


def _family(name: str) -> str:
    return "kworker" if name.startswith("kworker/") else name.rstrip("0123456789").rstrip("/-:")


def _write_stacks(path: pathlib.Path, samples: Samples) -> None:
    lines = (";".join(reversed(stack)) + f" {cost}\n" for stack, cost in samples.stacks)
    path.write_text("".join(lines))


def _show(what: str, costs: dict[str, float]) -> None:
    """Of costs in instructions (nanoseconds) per I/O, the largest."""
    print(f"{what}, thousands per I/O")
    for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:LINES]:
        if cost >= LEAST:
            print(f"  {cost / 1000:10.2f}  {name[:100]}", flush=True)
