"""Runs in the guest: starts fio, and when I/O flows, takes what the kernel counts at the begin and at the end of a time window.

Reads one JSON object from the command line, prints one:
  {"calibrate_s"}                                           -> {"ns_per_turn"}
  {"device", "fio", "warmup_s", "window_s", "pid", "soak"}  -> {"begin": {...}, "end": {...}}
  the same and "profile": true                              -> also {"tasks"}
  the same and "samples": a file for perf                   -> also {"system_calls", "samples"}
"""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import perf  # noqa: E402
import soaker  # noqa: E402
from counters import Counters  # noqa: E402

START_LIMIT_S = 60
POLL_S = 0.01


class Fio:
    """A fio job that goes on until it is stopped."""

    def __init__(self, arguments: list[str]):
        self._process = subprocess.Popen(["fio", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def check(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit(f"fio ended with {self._process.returncode}: {self._process.stderr.read().decode(errors='replace').strip()}")

    def stop(self) -> None:
        self.check()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def measure(wanted: dict) -> dict:
    idle = soaker.Soaker() if wanted["soak"] else None
    try:
        return measure_job(wanted, Counters(wanted["device"], wanted["pid"], idle))
    finally:
        if idle:
            idle.stop()


def measure_job(wanted: dict, counters: Counters) -> dict:
    fio = Fio(wanted["fio"])
    wait_for_io(fio, counters)
    time.sleep(wanted["warmup_s"])
    said = measure_window(counters, wanted["window_s"])
    if wanted.get("profile"):
        said["tasks"] = tasks_window(counters, wanted["window_s"])
    if wanted.get("samples"):
        said["system_calls"] = calls_window(counters, wanted["window_s"])
        said["samples"] = samples_window(counters, wanted["window_s"], wanted["samples"])
    fio.stop()
    return said


def wait_for_io(fio: Fio, counters: Counters) -> None:
    before = counters.ios()
    deadline = time.monotonic() + START_LIMIT_S
    while counters.ios() < before + 2 and time.monotonic() < deadline:
        fio.check()
        time.sleep(POLL_S)


def measure_window(counters: Counters, window_s: float) -> dict:
    begin = counters.read()
    time.sleep(window_s)
    return {"begin": begin, "end": counters.read()}


def tasks_window(counters: Counters, window_s: float) -> dict:
    begin = counters.read_tasks()
    time.sleep(window_s)
    return {"begin": begin, "end": counters.read_tasks()}


def calls_window(counters: Counters, window_s: float) -> dict:
    calls, first = perf.SystemCalls(), counters.ios()
    time.sleep(window_s)
    return {"ios": counters.ios() - first, "histogram": calls.stop()}


def samples_window(counters: Counters, window_s: float, output: str) -> dict:
    sampler, first = perf.Sampler(output), counters.ios()
    time.sleep(window_s)
    ios = counters.ios() - first
    sampler.stop()
    return {"ios": ios}


def main() -> None:
    wanted = json.loads(sys.argv[1])
    if "calibrate_s" in wanted:
        said = {"ns_per_turn": soaker.ns_per_turn(wanted["calibrate_s"])}
    else:
        said = measure(wanted)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
