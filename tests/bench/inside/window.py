"""Runs in the guest: starts fio, and when I/O flows, takes what the kernel counts at the begin and at the end of a time window.

Reads one JSON object from the command line, prints one:
  {"calibrate_s"}                                             -> {"ns_per_turn"}
  {"device", "fio", "warmup_s", "window_s", "pid", "soak"}    -> {"begin": {...}, "end": {...}}
  the same and "samples": a file for perf                     -> also {"system_calls", "ios"}, {"sampled_ios"}
A measured window holds neither fio's start nor the reading of the tasks.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import perf  # noqa: E402
import soaker  # noqa: E402

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


class Counters:
    """What is read at both ends of the window."""

    def __init__(self, device: str, pid: int | None, idle: soaker.Soaker | None):
        self._device_stat = os.open(f"/sys/class/block/{os.path.basename(device)}/stat", os.O_RDONLY)
        self._stat = os.open("/proc/stat", os.O_RDONLY)
        self.pid, self._idle = pid, idle

    def ios(self) -> int:
        fields = _text(self._device_stat).split()
        return int(fields[0]) + int(fields[4])

    def begin(self) -> dict:
        tasks = self._tasks()
        return {**self._system(), **tasks}

    def end(self) -> dict:
        system = self._system()
        return {**system, **self._tasks()}

    def _system(self) -> dict:
        now = time.monotonic_ns()
        ios = self.ios()
        turns = self._idle.turns() if self._idle else 0
        lines = {name: rest for name, _, rest in (line.partition(" ") for line in _text(self._stat).splitlines())}
        return {"ns": now, "ios": ios, "turns": turns, "ctxt": int(lines["ctxt"]), "cpu": [int(ticks) for ticks in lines["cpu"].split()]}

    def _tasks(self) -> dict:
        tasks = {}
        for folder in glob.glob("/proc/[0-9]*/task/[0-9]*"):
            try:
                tasks[folder.rsplit("/", 1)[1]] = self._task(folder)
            except OSError:  # it ended meanwhile
                pass
        return {"tasks": tasks}

    def _task(self, folder: str) -> dict:
        with open(folder + "/schedstat") as file:
            task = {"ns": int(file.read().split()[0])}
        if self._idle and folder.startswith(f"/proc/{self._idle.pid}/"):
            return {**task, "name": "(soaker)"}
        with open(folder + "/comm") as file:
            task["name"] = file.read().strip()
        if self.pid is not None and folder.startswith(f"/proc/{self.pid}/"):
            with open(folder + "/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            task |= {"own": True, "voluntary": int(fields["voluntary_ctxt_switches"]), "forced": int(fields["nonvoluntary_ctxt_switches"])}
        return task


def measure_window(counters: Counters, window_s: float) -> dict:
    begin = counters.begin()
    time.sleep(window_s)
    return {"begin": begin, "end": counters.end()}


def profile_window(counters: Counters, window_s: float, samples: str) -> dict:
    calls, first = perf.SystemCalls(), counters.ios()
    time.sleep(window_s)
    said = {"ios": counters.ios() - first, "system_calls": calls.stop()}
    sampler, first = perf.Sampler(counters.pid, samples), counters.ios()
    time.sleep(window_s)
    said["sampled_ios"] = counters.ios() - first
    sampler.stop()
    return said


def measure(wanted: dict) -> dict:
    idle = soaker.Soaker() if wanted["soak"] else None
    try:
        return measure_job(wanted, Counters(wanted["device"], wanted["pid"], idle))
    finally:
        if idle:
            idle.stop()


def measure_job(wanted: dict, counters: Counters) -> dict:
    before = counters.ios()
    fio = Fio(wanted["fio"])
    deadline = time.monotonic() + START_LIMIT_S
    while counters.ios() < before + 2 and time.monotonic() < deadline:
        fio.check()
        time.sleep(POLL_S)
    time.sleep(wanted["warmup_s"])
    said = measure_window(counters, wanted["window_s"])
    if "samples" in wanted:
        said |= profile_window(counters, wanted["window_s"], wanted["samples"])
    fio.stop()
    return said


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 16, 0).decode()


def main() -> None:
    wanted = json.loads(sys.argv[1])
    if "calibrate_s" in wanted:
        said = {"ns_per_turn": soaker.ns_per_turn(wanted["calibrate_s"])}
    else:
        said = measure(wanted)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
