"""The process that runs cases in the same guests, one after the other, as the runner names them on standard input, a JSON line each.

After a case everything that it left in the guests is removed, and what they are like is compared with what they were after the boot: where
anything differs, and after a case that failed, the next one gets new guests. The runner ends the process with SIGTERM when a case's time is over.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
from typing import TextIO

from . import case as cases
from .control import ControlServer
from .errors import CaseFailed, CaseSkipped, LabError, TimeLimit
from .lab import Lab
from .options import Options
from .topology import Topology
from .verdict import FAIL, PASS, SKIP, UP, Verdict

CONTROL_FILE = "lab.json"
"""In the folder of the case that is running: where tests/lab/guest finds the control socket."""
LOG = "runner.log"
"""In the folder of a case: what the case prints, and the worker's own trouble."""


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _on_sigterm)
    verdicts = _keep_for_verdicts()
    out = pathlib.Path(arguments.out)
    options = Options(**{**json.loads(arguments.options), "binary": pathlib.Path(json.loads(arguments.options)["binary"])})
    worker = Worker(out, options, verdicts)
    try:
        worker.run_shell(arguments.shell, out) if arguments.shell else worker.run_cases()
    except TimeLimit:
        pass
    finally:
        worker.close()


class Worker:
    def __init__(self, out: pathlib.Path, options: Options, verdicts: TextIO):
        self._root, self.options = out, options
        self._verdicts = verdicts
        self.lab: Lab | None = None
        self.control: ControlServer | None = None
        self.stop_asked = threading.Event()
        self._before: list[str] = []
        """The cases that ran in these guests and passed."""
        self._begin, self._begin_cpu_s, self._ready_s = time.monotonic(), 0.0, 0.0

    def run_cases(self) -> None:
        """Until the runner names no more."""
        for line in sys.stdin:
            asked = json.loads(line)
            if not self.run_case(pathlib.Path(asked["case"]), pathlib.Path(asked["out"])):
                return

    def run_case(self, path: pathlib.Path, out: pathlib.Path) -> bool:
        """Run it and report. True when another one may follow."""
        case = cases.Case(path.stem, path)
        word, story = PASS, ""
        _log_to(out / LOG)
        self._ready_s = 0.0
        self._begin, self._begin_cpu_s = time.monotonic(), self.lab.cpu_s() if self.lab else 0.0
        try:
            topology, test = case.load()
            self._have_guests(topology, out)
            self._ready_s = time.monotonic() - self._begin
            test(self.lab)
            self.lab.finish()
        except CaseSkipped as reason:
            word, story = SKIP, str(reason)
        except (CaseFailed, LabError) as error:
            word, story = FAIL, _join(case.where(error), str(error))
        except TimeLimit as error:
            word, story = FAIL, _join(case.where(error), "the case was still there when its time was over")
        except Exception as error:  # a case's own assert, or a mistake in it
            traceback.print_exc()
            word, story = FAIL, _join(case.where(error), f"{type(error).__name__}: {error}", f"log: {out / LOG}")
        if word == FAIL and self._before:
            story += f"\nbefore it the same guests had {', '.join(self._before)}; alone: tests/lab/run {case.name}"
        self._before.append(case.name)
        self._report(word, story)
        if self.options.keep and self.lab:
            self._stay()
        return word != FAIL and not self.options.keep

    def run_shell(self, name: str, out: pathlib.Path) -> None:
        try:
            self._boot(cases.shell_topology(name), out)
        except (CaseFailed, LabError) as error:
            self._report(FAIL, str(error))
            return
        self._report(UP, "")
        self._stay()

    def close(self) -> None:
        """Nothing may interrupt this."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._take_down()

    def _have_guests(self, topology: Topology, out: pathlib.Path) -> None:
        """Those of the case before, when they are of this topology and as they were; new ones otherwise."""
        if self.lab and self.lab.wiring == topology:
            if not (differences := self.lab.clean()):
                self._hide_control()
                self.lab.give_to(out)
                self._show_control(out)
                return
            print(f"{self._before[-1]} changed its guests: {'; '.join(differences)}; {out.name} gets new ones")
        self._take_down()
        self._begin_cpu_s = 0.0
        self._boot(topology, out)
        self.lab.survey()

    def _boot(self, topology: Topology, out: pathlib.Path) -> None:
        self._before = []
        self.lab = Lab(topology, out, self.options, share=self._root)
        self.control = ControlServer(self.lab, self.stop_asked)
        self._show_control(out)
        self.lab.boot()

    def _take_down(self) -> None:
        if self.control:
            self.control.close()
        if self.lab:
            self.lab.close()
            self._hide_control()
            (self.lab.boot_out / CONTROL_FILE).unlink(missing_ok=True)
        self.lab = self.control = None

    def _show_control(self, out: pathlib.Path) -> None:
        (out / CONTROL_FILE).write_text(json.dumps({"control": str(self.lab.control_socket())}) + "\n")

    def _hide_control(self) -> None:
        """But not in the folder of the first case: its logs are those of the boot, and must not be removed yet."""
        if self.lab.out != self.lab.boot_out:
            (self.lab.out / CONTROL_FILE).unlink(missing_ok=True)

    def _report(self, word: str, story: str) -> None:
        cpu_s = (self.lab.cpu_s() if self.lab else 0.0) - self._begin_cpu_s
        self._verdicts.write(Verdict(word, time.monotonic() - self._begin, self._ready_s, cpu_s, story).to_line())
        self._verdicts.flush()

    def _stay(self) -> None:
        while not self.stop_asked.wait(0.5) and any(guest.alive() for guest in self.lab.guests.values()):
            pass


def _keep_for_verdicts() -> TextIO:
    """Standard output belongs to the runner; what a case prints goes where standard error goes."""
    verdicts = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout.reconfigure(line_buffering=True)
    return verdicts


def _log_to(path: pathlib.Path) -> None:
    """What is printed from now on, and standard error."""
    with open(path, "a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())


def _on_sigterm(number, frame) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TimeLimit()


def _join(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shell", help="boot this topology and stay; run no case")
    parser.add_argument("--out", required=True, help="the folder that holds the cases' folders; with --shell, the topology's own")
    parser.add_argument("--options", required=True, help="Options as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
