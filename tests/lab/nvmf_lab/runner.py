"""Runs cases in worker processes, some at a time; ends those that take too long, and leaves nothing behind.

Cases that declare the same TOPOLOGY go to one worker, one after the other, which runs them in the same guests (see worker.py). After a case
that failed, the rest of them go to another worker, and so get guests of their own.
"""

import dataclasses
import json
import os
import pathlib
import selectors
import shutil
import signal
import subprocess
import sys
import time
from typing import Callable

from . import programs
from .case import Case
from .errors import LabError
from .options import Options
from .verdict import FAIL, Verdict

END_GRACE_S = 20
# What a guest's kernel says when the emulation is to blame, and what happened then: the case runs again.
EMULATION_FAULTS = {
    "Oops: int3": "QEMU's translation race broke a guest's kernel",  # see qemu.KERNEL_ARGS
    "rxe_destroy_qp: cleanup failed": "Soft-RoCE kept a packet of a queue pair, and blocked the daemon for 50 s when it destroyed that",
}
MAX_ATTEMPTS = 3


@dataclasses.dataclass
class Run:
    """A worker process, and the case that it is at."""

    name: str
    out: pathlib.Path
    process: subprocess.Popen
    begin: float
    limit_s: float
    case: Case | None = None
    attempt: int = 1
    verdict: Verdict | None = None
    expired: bool = False

    def over(self) -> bool:
        return time.monotonic() > self.begin + self.limit_s


class Runner:
    def __init__(self, out: pathlib.Path, options: Options, jobs: int, report: Callable[[str, Verdict, pathlib.Path], None]):
        self._out, self._options, self._jobs, self._report = out, options, jobs, report
        self._runs: list[Run] = []
        self._waiting: list[Case] = []
        self._selector = selectors.DefaultSelector()

    def run(self, cases: list[Case]) -> None:
        """Run the cases and report each as it ends. Returns when all have a verdict."""
        self._run([case for case in cases if not case.alone()], self._jobs)
        self._run([case for case in cases if case.alone()], 1)

    def _run(self, cases: list[Case], jobs: int) -> None:
        self._waiting = cases
        while self._waiting or self._undecided():
            while self._waiting and len(self._undecided()) < jobs:
                self._start_case(self._longest_waiting(), attempt=1)
            self._turn()

    def _longest_waiting(self) -> Case:
        """The first case of the topology with most left to do, so that the end is not one worker's alone; one that no worker has, if there is any."""
        left: dict[str, float] = {}
        for case in self._waiting:
            left[case.topology()] = left.get(case.topology(), 0) + case.limit_s(self._options.thorough)
        taken = {run.case.topology() for run in self._undecided()}
        chosen = max(left, key=lambda topology: (topology not in taken, left[topology]))
        return self._take(chosen)

    def _take(self, topology: str) -> Case | None:
        """A waiting case of that topology, if there is one; it waits no more."""
        case = next((case for case in self._waiting if case.topology() == topology), None)
        if case:
            self._waiting.remove(case)
        return case

    def shell(self, topology: str, limit_s: float) -> Verdict:
        """Boot a topology and leave it up."""
        # Of a file only its name: its path, absolute or with "..", leads out of this folder.
        out = fresh_folder(self._out / f"shell-{pathlib.PurePath(topology).stem}")
        run = self._start(topology, out, ["--shell", topology, "--out", str(out)], limit_s)
        while run.verdict is None:
            self._turn()
        return run.verdict

    def wait(self) -> None:
        """Until the guests that were kept are gone."""
        while any(run.process.poll() is None for run in self._runs):
            time.sleep(0.2)

    def close(self) -> None:
        """End every worker; each takes its guests down. One that does not is killed, and its guests die with it."""
        for run in self._alive():
            run.process.terminate()
        deadline = time.monotonic() + END_GRACE_S
        while self._alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        for run in self._alive():
            run.process.kill()
            run.process.wait()

    def _alive(self) -> list[Run]:
        return [run for run in self._runs if run.process.poll() is None]

    def _undecided(self) -> list[Run]:
        return [run for run in self._runs if run.verdict is None]

    def _start_case(self, case: Case, attempt: int) -> None:
        out = fresh_folder(self._out / case.name)
        run = self._start(case.name, out, ["--out", str(self._out)], limit_s=0)
        self._hand(run, case, out, attempt)

    def _hand(self, run: Run, case: Case, out: pathlib.Path, attempt: int = 1) -> None:
        """Give a worker its next case."""
        run.name, run.out, run.case, run.attempt, run.verdict = case.name, out, case, attempt, None
        run.begin, run.limit_s = time.monotonic(), case.limit_s(self._options.thorough) * self._options.patience
        try:
            run.process.stdin.write(json.dumps({"case": str(case.path), "out": str(out)}).encode() + b"\n")
            run.process.stdin.flush()
        except BrokenPipeError:  # it ended: its verdict will be that it said none
            pass

    def _start(self, name: str, out: pathlib.Path, what: list[str], limit_s: float) -> Run:
        options = dataclasses.asdict(self._options) | {"binary": str(self._options.binary)}
        command = [sys.executable, "-m", "nvmf_lab.worker", *what, "--options", json.dumps(options)]
        environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(out / "runner.log", "a") as log:
            # The kernel ends the worker with this process, even after a SIGKILL; Ctrl-C is for this process alone.
            process = subprocess.Popen(
                [programs.find("setpriv"), "--pdeathsig", "TERM", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        run = Run(name, out, process, time.monotonic(), limit_s)
        self._runs.append(run)
        self._selector.register(process.stdout, selectors.EVENT_READ, run)
        return run

    def _turn(self) -> None:
        """Wait a moment for verdicts, and look at the clock."""
        for key, _ in self._selector.select(timeout=0.2):
            self._decide(key.data)
        for run in self._undecided():
            if run.over() and not run.expired:
                run.expired = True
                run.process.terminate()
            elif time.monotonic() > run.begin + run.limit_s + END_GRACE_S:
                run.process.kill()

    def _decide(self, run: Run) -> None:
        """The worker said its one line of a case, or ended without it."""
        line = run.process.stdout.readline().decode()
        seconds = time.monotonic() - run.begin
        run.verdict = Verdict.from_line(line) if line else Verdict(FAIL, seconds, story=self._silent(run))
        if run.expired:
            story = f"time limit of {run.limit_s:.0f} s\n{run.verdict.story}"
            run.verdict = dataclasses.replace(run.verdict, word=FAIL, story=story)
        if run.verdict.word == FAIL or self._options.keep or not self._go_on(run):
            self._end(run)

    def _go_on(self, run: Run) -> bool:
        """Report the case that ended well, and give the worker another of its topology; false when none waits."""
        following = self._take(run.case.topology())
        if not following:
            return False
        self._report(run.name, run.verdict, run.out)
        self._hand(run, following, fresh_folder(self._out / following.name))
        return True

    def _end(self, run: Run) -> None:
        """This was the worker's last case: report it, or run it again elsewhere when the emulation is to blame."""
        self._selector.unregister(run.process.stdout)
        run.process.stdin.close()
        if not self._options.keep or run.expired:
            run.process.wait(END_GRACE_S)
        may_repeat = run.case and run.attempt < MAX_ATTEMPTS and run.verdict.word == FAIL and not self._options.keep
        if may_repeat and (fault := _emulation_fault(run.out)):
            self._run_again(run, fault)
        else:
            self._report(run.name, run.verdict, run.out)

    def _run_again(self, run: Run, fault: str) -> None:
        kept = run.out.with_name(f"{run.name}.attempt{run.attempt}")
        shutil.rmtree(kept, ignore_errors=True)
        run.out.rename(kept)
        print(f"{run.name}: {EMULATION_FAULTS[fault]} ({fault}, {kept}); the case runs again", flush=True)
        self._start_case(run.case, run.attempt + 1)

    def _silent(self, run: Run) -> str:
        code = run.process.wait(END_GRACE_S)
        said = (run.out / "runner.log").read_text().strip().splitlines()[-8:]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return "\n".join([f"its worker process {how} without a verdict; log: {run.out / 'runner.log'}", *said])


def _emulation_fault(out: pathlib.Path) -> str | None:
    consoles = [console.read_text(errors="replace") for console in out.glob("*.console.log")]
    return next((fault for fault in EMULATION_FAULTS if any(fault in text for text in consoles)), None)


def fresh_folder(out: pathlib.Path) -> pathlib.Path:
    """An empty folder for a case's logs; LabError while the lab that writes there is still up."""
    control = out / "lab.json"
    if control.exists() and pathlib.Path(json.loads(control.read_text())["control"]).exists():
        raise LabError(f"a lab that writes to {out} is up: end it with tests/lab/guest --lab {out.name} --stop, or choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out
