"""tests/bench/user: the data path's own instructions per command."""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from nvmf_lab.qemu import REPOSITORY

from .callgrind import Function, read_costs

DESCRIPTION = """\
Count the instructions that the target spends on a command in user space, by file. The target runs on the model RNIC, with a model disk, under
callgrind; instructions of the RNIC's provider, the disk, the host, the kernel and the C library are left out. The same program gives the same
figures on every machine; another compiler, others. They are compared with those that were stored with --store, before a change."""

EXAMPLES = """\
examples:
  tests/bench/user                     all jobs, by file, beside the stored figures
  tests/bench/user --jobs qd16 --functions
  tests/bench/user --store             keep the figures: what later ones are compared with

Exit code: 0 done; 1 a step failed. Figures that are worse than the stored ones are no failure."""

BASELINE = REPOSITORY / "tests/bench/user_baseline.json"
_OWN_FILE = re.compile(r"(?:^|/)((?:target|transport|p2p)/.+)$")
# What the model host and the simulation's checks call.
_OF_THE_MODEL = ("nvmf::verbs::next_event(", "nvmf::core::BufferPool::held_bytes(", "nvmf::rdma::Transport::visit(")
LEAST = 0.5  # instructions per command that are worth a line


@dataclasses.dataclass(frozen=True)
class Job:
    name: str
    kind: str
    blocks: int  # of 512 bytes, of a command
    depth: int
    commands: int


JOBS = [
    Job("read-4k-qd1", "read", 8, 1, 500),
    Job("read-4k-qd16", "read", 8, 16, 1000),
    Job("write-4k-qd16", "write", 8, 16, 1000),
    Job("read-64k-qd16", "read", 128, 16, 500),
    Job("memory-r-4k", "read-memory", 8, 16, 1000),
    Job("memory-w-4k", "write-memory", 8, 16, 1000),
]


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    chosen = [job for job in JOBS if any(word in job.name for word in options.jobs.split(","))]
    try:
        if not chosen:
            raise RuntimeError(f"no job matches {options.jobs!r}; there are {', '.join(job.name for job in JOBS)}")
        counted = {job.name: count(job, options.program) for job in chosen}
    except (RuntimeError, OSError) as error:
        print(f"tests/bench/user: {error}", file=sys.stderr)
        return 1
    stored = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    show("file", {name: by_file(costs) for name, costs in counted.items()}, stored)
    if options.functions:
        show("function", {name: by_function(costs) for name, costs in counted.items()}, {})
    if options.store:
        stored |= {name: by_file(costs) for name, costs in counted.items()}
        BASELINE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
    return 0


def count(job: Job, program: pathlib.Path) -> dict[Function, float]:
    """Instructions per command: the difference of two runs, so that set-up and end do not count."""
    once, thrice = (_run(job, program, commands) for commands in (job.commands, 3 * job.commands))
    return {function: (cost - once[function]) / (2 * job.commands) for function, cost in thrice.items()}


def _run(job: Job, program: pathlib.Path, commands: int) -> collections.Counter:
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program)]
        done = subprocess.run(
            [*command, job.kind, str(job.blocks), str(job.depth), str(commands)], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise RuntimeError(f"{job.name} failed:\n{done.stderr[-2000:]}")
        return read_costs(out)


def by_file(costs: dict[Function, float]) -> dict[str, float]:
    sums: collections.Counter = collections.Counter()
    for function, cost in costs.items():
        if (file := _own_file(function)) is not None:
            sums[file] += cost
    return {file: round(cost, 1) for file, cost in sums.items() if cost >= LEAST}


def by_function(costs: dict[Function, float]) -> dict[str, float]:
    own = {function: cost for function, cost in costs.items() if _own_file(function) is not None and cost >= LEAST}
    return {function.name.split("(")[0]: cost for function, cost in own.items()}


def _own_file(function: Function) -> str | None:
    """Of the target: its path in the repository, wherever that was when it was compiled."""
    if function.name.startswith(_OF_THE_MODEL):
        return None
    found = _OWN_FILE.search(os.path.normpath(function.file))
    return found[1] if found and (REPOSITORY / found[1]).is_file() else None


def show(what: str, counted: dict[str, dict[str, float]], stored: dict[str, dict[str, float]]) -> None:
    rows = sorted({row for figures in counted.values() for row in figures}, key=lambda row: -max(one.get(row, 0) for one in counted.values()))
    width = max(map(len, [*rows, what])) + 2
    print(f"\ninstructions per command, by {what}")
    print(f"{what:<{width}}" + "".join(f"{name:>16}" for name in counted))
    for row in rows:
        print(f"{row:<{width}}" + "".join(f"{figures.get(row, 0):16.1f}" for figures in counted.values()))
    sums = {name: sum(figures.values()) for name, figures in counted.items()}
    print(f"{'all':<{width}}" + "".join(f"{total:16.1f}" for total in sums.values()))
    if not stored:
        return
    ratios = [f"{sums[name] / sum(stored[name].values()):.3f}" if name in stored else "-" for name in counted]
    print(f"{'beside the stored figures':<{width}}" + "".join(f"{ratio:>16}" for ratio in ratios), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/bench/user", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="", help="those whose names contain one of these words, separated by commas (default: all)")
    parser.add_argument("--program", type=pathlib.Path, default=REPOSITORY / "build/release/tests/bench_data_path", help="default: the release build's")
    parser.add_argument("--functions", action="store_true", help="show the functions, too")
    parser.add_argument("--store", action="store_true", help=f"write the figures to {BASELINE.relative_to(REPOSITORY)}")
    return parser
