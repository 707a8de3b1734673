"""The process that runs one case. The runner starts one per case, and ends it with SIGTERM when its time is over."""

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
from .verdict import FAIL, PASS, SKIP, UP, Verdict


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _on_sigterm)
    verdicts = _keep_for_verdicts()
    out = pathlib.Path(arguments.out)
    options = Options(**{**json.loads(arguments.options), "binary": pathlib.Path(json.loads(arguments.options)["binary"])})
    worker = Worker(out, options, verdicts)
    try:
        worker.run_shell(arguments.shell) if arguments.shell else worker.run_case(pathlib.Path(arguments.case))
    except TimeLimit:
        pass
    finally:
        worker.close()


class Worker:
    def __init__(self, out: pathlib.Path, options: Options, verdicts: TextIO):
        self.out, self.options = out, options
        self._verdicts = verdicts
        self.lab: Lab | None = None
        self.control: ControlServer | None = None
        self.stop_asked = threading.Event()
        self._begin = time.monotonic()

    def run_case(self, path: pathlib.Path) -> None:
        case = cases.Case(path.stem, path)
        word, story = PASS, ""
        try:
            topology, test = case.load()
            self._boot(topology)
            test(self.lab)
            self.lab.finish()
        except CaseSkipped as reason:
            word, story = SKIP, str(reason)
        except (CaseFailed, LabError) as error:
            word, story = FAIL, _join(case.where(error), str(error))
        except TimeLimit as error:
            word, story = FAIL, _join(case.where(error), f"the case was still there when its time was over")
        except Exception as error:  # a case's own assert, or a mistake in it
            traceback.print_exc()
            word, story = FAIL, _join(case.where(error), f"{type(error).__name__}: {error}", f"log: {self.out / 'runner.log'}")
        self._report(word, story)
        if self.options.keep and self.lab:
            self._stay()

    def run_shell(self, name: str) -> None:
        try:
            self._boot(cases.shell_topology(name))
        except (CaseFailed, LabError) as error:
            self._report(FAIL, str(error))
            return
        self._report(UP, "")
        self._stay()

    def close(self) -> None:
        """Nothing may interrupt this."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.control:
            self.control.close()
        if self.lab:
            self.lab.close()
        (self.out / "lab.json").unlink(missing_ok=True)

    def _boot(self, topology) -> None:
        self.lab = Lab(topology, self.out, self.options)
        self.control = ControlServer(self.lab, self.stop_asked)
        (self.out / "lab.json").write_text(json.dumps({"control": str(self.lab.control_socket())}) + "\n")
        self.lab.boot()

    def _report(self, word: str, story: str) -> None:
        boot_s = self.lab.boot_s if self.lab else 0.0
        self._verdicts.write(Verdict(word, time.monotonic() - self._begin, boot_s, story).to_line())
        self._verdicts.flush()

    def _stay(self) -> None:
        while not self.stop_asked.wait(0.5) and any(guest.alive() for guest in self.lab.guests.values()):
            pass


def _keep_for_verdicts() -> TextIO:
    """Standard output belongs to the runner; what a case prints goes to runner.log, where standard error goes."""
    verdicts = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout.reconfigure(line_buffering=True)
    return verdicts


def _on_sigterm(number, frame) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TimeLimit()


def _join(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", help="the case's file")
    parser.add_argument("--shell", help="boot this topology and stay")
    parser.add_argument("--out", required=True)
    parser.add_argument("--options", required=True, help="Options as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
