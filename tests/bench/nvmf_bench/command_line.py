"""tests/bench/run: what it is told, and what it prints."""

import argparse
import dataclasses
import json
import pathlib
import signal
import sys
import time

from nvmf_lab.errors import CaseFailed, LabError, TimeLimit
from nvmf_lab.lab import Lab
from nvmf_lab.options import Options
from nvmf_lab.qemu import REPOSITORY
from nvmf_lab.runner import fresh_folder

from . import contenders, jobs
from .measure import Meter
from .modes import MODES, Mode
from .profile import Profiler
from .still_clock import make_devices_instant
from .table import PEER, Results

DESCRIPTION = """\
Compare this target (P2P off and on) with the kernel's own nvmet-rdma: one guest that talks to itself over Soft-RoCE, one device, the same fio jobs,
by turns. «counted» lets QEMU count instructions, and nothing that happens on this machine changes the result; «wall» takes the clock, and wants
a quiet machine."""

EXAMPLES = """\
examples:
  tests/bench/run                                    counted, all jobs
  tests/bench/run both --json figures.json
  tests/bench/run --jobs qd1,128k --rounds 1         some jobs, quickly
  tests/bench/run --jobs randread-4k-qd16 --profile  where the instructions go
  tests/bench/run --base ../before/nvmf-p2p          no slower than before?

Exit code: 0 done; 1 with --check when a goal is missed, or a step failed; 2 the lab could not be started; 130 interrupted."""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return _main(options)
    except CaseFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except TimeLimit:
        print("bench: interrupted", file=sys.stderr)
        return 130


def _main(options: argparse.Namespace) -> int:
    chosen = jobs.select(options.jobs)
    if not chosen:
        raise LabError(f"no job matches {options.jobs!r}; there are {', '.join(job.name for job in jobs.JOBS)}")
    done: list[Results] = []
    for mode in _modes(options):
        done.append(_bench(mode, chosen, options))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps([results.to_json() for results in done], indent=1) + "\n")
    missed = any(results.missed_goals() for results in done)
    failed = any(results.failures for results in done)
    return 1 if failed or (missed and options.check) else 0


def _bench(mode: Mode, chosen: list[jobs.Job], options: argparse.Namespace) -> Results:
    out = fresh_folder(pathlib.Path(options.out).absolute() / mode.name)
    lab_options = Options(binary=pathlib.Path(options.binary).absolute(), kernel="backports", patience=options.patience, keep=False)
    base = pathlib.Path(options.base).absolute() if options.base else None
    lab = Lab(mode.topology(ssds=4 if base else 2), out, lab_options)
    results = Results(mode, options.device)
    try:
        _say(f"{mode.name}: booting (logs: {out})")
        lab.boot()
        present = contenders.DEVICES[options.device](lab, options.targets.split(","), _reactors(options), base)
        if mode.counted and (trouble := make_devices_instant(lab.target)):
            _say(trouble)
        meter = Meter(lab.host, mode)
        _say(f"{mode.name}: up after {lab.boot_s:.0f} s, {', '.join(one.name for one in present)} connected")
        if options.profile:
            profiler = Profiler(lab, meter)
            for job in chosen:
                for one in present:
                    profiler.show(job, one)
            return results
        _rounds(mode, chosen, present, meter, results)
        contenders.check_paths(present)
        lab.finish()
    finally:
        lab.close()
    print(f"\n{mode.name}, {options.device}, median of {mode.rounds}\n{results.table()}", flush=True)
    for line in [*results.compared(), *results.missed_goals()]:
        print(line, flush=True)
    return results


def _rounds(mode: Mode, chosen: list[jobs.Job], present: list[contenders.Contender], meter: Meter, results: Results) -> None:
    begin, count = time.monotonic(), 0
    total = mode.rounds * len(chosen) * len(present)
    for number in range(1, mode.rounds + 1):
        for job in chosen:
            for one in present:
                count += 1
                try:
                    figures = meter.run(job, one)
                except CaseFailed as error:
                    results.add_failure(job, one.name, str(error))
                    _say(f"round {number}/{mode.rounds} {job.name:18} {one.name:9} FAILED: {error}")
                    continue
                results.add(job, one.name, figures)
                cost = f"{figures.cost_ns / 1000:7.1f} {'k' if mode.counted else 'us'}/IO"
                left_s = (time.monotonic() - begin) / count * (total - count)
                _say(f"round {number}/{mode.rounds} {job.name:18} {one.name:9} {figures.iops:7.0f} IOPS {cost}   {left_s:.0f} s to go")


def _modes(options: argparse.Namespace) -> list[Mode]:
    names = ["counted", "wall"] if options.mode == "both" else [options.mode]
    changed = {"rounds": options.rounds, "window_s": options.runtime}
    return [dataclasses.replace(MODES[name], **{field: value for field, value in changed.items() if value}) for name in names]


def _reactors(options: argparse.Namespace) -> dict:
    """That part of our daemons' config."""
    return {} if options.poll_us is None else {"poll_us": options.poll_us}


def _say(text: str) -> None:
    print(text, flush=True)


def _on_signal(number, frame) -> None:
    raise TimeLimit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", nargs="?", choices=["counted", "wall", "both"], default="counted", help="(default: counted)")
    parser.add_argument("--jobs", metavar="PATTERNS", default="*", help="comma-separated patterns or parts of job names (default: all)")
    parser.add_argument("--targets", metavar="NAMES", default=",".join(contenders.NAMES), help=f"beside {PEER} (default: %(default)s)")
    parser.add_argument("--device", choices=list(contenders.DEVICES), default="ssd", help="the emulated SSD with its CMB, or a RAM disk (default: ssd)")
    parser.add_argument("--rounds", metavar="N", type=int, help="default: 3 counted, 5 by the wall clock")
    parser.add_argument("--runtime", metavar="S", type=float, help="guest seconds that are measured of each job (default: 0.25 counted, 3 by the wall clock)")
    parser.add_argument(
        "--binary", metavar="PATH", default=str(REPOSITORY / "build/release/nvmf-p2p"), help="the daemon (default: build/release/nvmf-p2p)"
    )
    parser.add_argument("--base", metavar="PATH", help="another build of the daemon, to compare with in the same boot: what costs more than before?")
    parser.add_argument("--poll-us", metavar="US", type=int, help="our reactors' poll_us (default: the daemon's)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed (counted)")
    parser.add_argument("--profile", action="store_true", help="measure nothing; show where the target's instructions go, by function and system call")
    parser.add_argument("--out", metavar="DIR", default=str(REPOSITORY / "build/bench"), help="logs go to DIR/MODE (default: build/bench)")
    parser.add_argument("--patience", metavar="X", type=float, default=8, help="what every time limit is multiplied by (default: 8)")
    return parser
