"""tests/lab/run: what it is told, and what it prints."""

import argparse
import os
import pathlib
import signal
import sys

from . import case as cases
from . import kernel, programs
from .errors import LabError, TimeLimit
from .options import Options
from .qemu import REPOSITORY
from .runner import Runner
from .verdict import FAIL, PASS, SKIP, UP, Verdict

SHELL_LIMIT_S = 120
REASON_LINES = 10
"""What a case that failed takes on the screen."""

DESCRIPTION = """\
Boot virtual machines in which everything is real but the silicon, and run cases there: QEMU's emulation (no KVM), a stock
Debian kernel with Soft-RoCE, NVMe SSDs with a Controller Memory Buffer. The guests see this machine's own files, read-only.
The first run fetches the kernel through apt (about 120 MB), and what single cases need besides (Debian 12's kernel, nvme-stas, Pacemaker),
for which it needs the network; later ones do not."""

EXAMPLES = """\
examples:
  tests/lab/run                          all cases but those that only --thorough runs
  tests/lab/run 'lab_*' --jobs 2         the lab's own cases, two at a time
  tests/lab/run --shell two              boot a target and a host, and stay; then, from anywhere:
  tests/lab/guest host 'rdma link'

A time limit is that of a quiet machine times --patience. Exit code: 0 none failed and at least one passed, 1 otherwise,
2 the lab could not be started, 130 interrupted."""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    # SIGINT by name too: a shell starts background commands with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return _main(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2


def _main(options: argparse.Namespace) -> int:
    if options.list:
        for case in cases.all_cases():
            print(f"{case.name:32} {case.summary()}")
        return 0
    chosen = [] if options.shell else cases.select(options.cases)
    if options.alone != "with":
        chosen = [case for case in chosen if case.alone() == (options.alone == "only")]
    left_out = [] if options.thorough or options.cases else [case for case in chosen if case.thorough()]
    chosen = [case for case in chosen if case not in left_out]
    if options.fetch:
        return _fetch(options, chosen)
    _prepare(options)
    tally = Tally()
    for case in left_out:
        tally.add(case.name, Verdict(SKIP, 0, story="it runs with --thorough, or by its name"), pathlib.Path(options.out))
    runner = Runner(pathlib.Path(options.out).absolute(), _options(options), options.jobs, tally.add)
    interrupted = False
    try:
        if options.shell:
            return _shell(runner, options.shell)
        runner.run(chosen)
        if options.keep:
            print("guests are kept: tests/lab/guest talks to them, Ctrl-C or tests/lab/guest --stop ends them", flush=True)
            runner.wait()
    except TimeLimit:
        interrupted = True
        print("lab: interrupted", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second one must not leave guests behind
        runner.close()
    if not options.shell:
        print(tally.closing_line(), flush=True)
    return 130 if interrupted and not options.keep else tally.exit_code()


def _prepare(options: argparse.Namespace) -> None:
    """Fail early and plainly: programs, then the kernel, before any case starts."""
    for name in ("qemu-system-x86_64", "busybox", "cpio", "modprobe", "depmod", "setpriv", "rdma", "nvme", "fio", "curl", "mkfs.ext4", "mkfs.xfs"):
        programs.find(name)
    binary = pathlib.Path(options.binary)
    if not options.shell and not os.access(binary, os.X_OK):
        raise LabError(f"there is no program {binary}: build it (cmake --preset release && cmake --build --preset release), or name another with --binary")
    if os.getuid() != 0:
        print("lab: not root: guests cannot read files that only root may read, and files they make belong to you", file=sys.stderr)
    kernel.get(options.kernel, options.refresh_kernel)


def _fetch(options: argparse.Namespace, chosen: list[cases.Case]) -> int:
    """Everything that the cases need of the network."""
    kernel.get(options.kernel, options.refresh_kernel)
    for case in chosen:
        for fetch in case.fetches():
            fetch()
    return 0


def _options(options: argparse.Namespace) -> Options:
    return Options(
        binary=pathlib.Path(options.binary).absolute(),
        kernel=options.kernel,
        patience=options.patience,
        keep=options.keep or bool(options.shell),
        thorough=options.thorough,
    )


def _shell(runner: Runner, topology: str) -> int:
    verdict = runner.shell(topology, SHELL_LIMIT_S * 4)
    if verdict.word != UP:
        return 1
    print("tests/lab/guest talks to the guests; Ctrl-C, SIGTERM or tests/lab/guest --stop ends them", flush=True)
    runner.wait()
    return 0


class Tally:
    """Prints a line per case and counts."""

    def __init__(self):
        self._counts = {PASS: 0, FAIL: 0, SKIP: 0}

    def add(self, name: str, verdict: Verdict, out: pathlib.Path) -> None:
        if verdict.word in self._counts:
            self._counts[verdict.word] += 1
        print(f"{verdict.word} {name} {verdict.seconds:.1f} s (guests ready after {verdict.boot_s:.1f} s, CPU {verdict.cpu_s:.0f} s)", flush=True)
        lines = verdict.story.splitlines()
        if verdict.word == FAIL:
            lines = _shortened(lines, out / "reason.txt") + [f"all logs: {out}"]
        for line in lines:
            print(f"    {line}", flush=True)

    def closing_line(self) -> str:
        return f"{self._counts[PASS]} passed, {self._counts[FAIL]} failed, {self._counts[SKIP]} skipped"

    def exit_code(self) -> int:
        """Something failed, or nothing ran at all: neither is a success."""
        return 1 if self._counts[FAIL] or not self._counts[PASS] else 0


def _shortened(reason: list[str], file: pathlib.Path) -> list[str]:
    """The lines that fit beside the case's name and its logs; the file takes all of them."""
    file.write_text("".join(line + "\n" for line in reason))
    most = REASON_LINES - 2
    return reason if len(reason) <= most else [*reason[: most - 1], f"... the whole reason: {file}"]


def _on_signal(number, frame) -> None:
    raise TimeLimit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/lab/run", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="a case's name, a pattern of names, or a file (default: all)")
    parser.add_argument("--list", action="store_true", help="show the cases and what each is about")
    parser.add_argument(
        "--binary", metavar="PATH", default=str(REPOSITORY / "build/release/nvmf-p2p"), help="the daemon under test (default: build/release/nvmf-p2p)"
    )
    parser.add_argument("--out", metavar="DIR", default=str(REPOSITORY / "build/lab"), help="logs and results go to DIR/CASE (default: build/lab)")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="cases at the same time (default: 1)")
    parser.add_argument("--patience", metavar="X", type=float, default=4, help="what every time limit is multiplied by (default: 4)")
    parser.add_argument("--thorough", action="store_true", help="more rounds of what a case repeats (hosts that vanish, are cut off, ...), and the cases that take longest: before a release")
    parser.add_argument("--kernel", choices=list(kernel.SOURCES), default="backports", help="the guests' kernel, unless the case names one (default: backports)")
    parser.add_argument("--refresh-kernel", action="store_true", help="look for a newer kernel than the one in the cache")
    parser.add_argument("--fetch", action="store_true", help="fetch what the cases need of the network, and run none")
    parser.add_argument(
        "--alone", choices=("with", "without", "only"), default="with",
        help="cases that measure run alone, after the others; with them, without them, or only them (default: with)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the guests of each case up when it ends, until Ctrl-C or tests/lab/guest --stop")
    parser.add_argument("--shell", metavar="TOPOLOGY", nargs="?", const="two", help="boot `one`, `two` (default) or a case's topology, and stay; run no case")
    return parser
