"""What the guest's kernel counts: read at both ends of a window, in one order, so that each figure is of a window of one length."""

import glob
import os
import time

import soaker


class Counters:
    def __init__(self, device: str, pid: int | None, idle: soaker.Soaker | None):
        self._device = os.open(f"/sys/class/block/{os.path.basename(device)}/stat", os.O_RDONLY)
        self._stat = os.open("/proc/stat", os.O_RDONLY)
        self._idle = idle
        self._own = [_Thread(folder) for folder in glob.glob(f"/proc/{pid}/task/*")] if pid else []

    def ios(self) -> int:
        fields = _text(self._device).split()
        return int(fields[0]) + int(fields[4])

    def read(self) -> dict:
        """Of the whole guest, and of the target's own process."""
        now = time.monotonic_ns()
        ios = self.ios()
        turns = self._idle.turns() if self._idle else 0
        own = [thread.read() for thread in self._own]
        lines = {name: rest for name, _, rest in (line.partition(" ") for line in _text(self._stat).splitlines())}
        return {
            "ns": now,
            "ios": ios,
            "turns": turns,
            "own_ns": sum(ns for ns, _ in own),
            "own_sleeps": sum(sleeps for _, sleeps in own),
            "switches": int(lines["ctxt"]),
            "cpu_ticks": [int(ticks) for ticks in lines["cpu"].split()],
        }

    def read_tasks(self) -> dict:
        """What each task of the guest has run, by thread id. Takes long itself."""
        ios = self.ios()
        tasks = {}
        for folder in glob.glob("/proc/[0-9]*/task/[0-9]*"):
            try:
                tasks[folder.rsplit("/", 1)[1]] = self._task(folder)
            except OSError:  # it ended meanwhile
                pass
        return {"ios": ios, "tasks": tasks}

    def _task(self, folder: str) -> dict:
        with open(folder + "/schedstat") as file:
            ns = int(file.read().split()[0])
        if self._idle and folder.startswith(f"/proc/{self._idle.pid}/"):
            return {"ns": ns, "name": "(soaker)"}
        with open(folder + "/comm") as file:
            return {"ns": ns, "name": file.read().strip()}


class _Thread:
    """A thread of the target's."""

    def __init__(self, folder: str):
        self._schedstat = os.open(folder + "/schedstat", os.O_RDONLY)
        self._status = os.open(folder + "/status", os.O_RDONLY)

    def read(self) -> tuple[int, int]:
        """Nanoseconds run, times slept."""
        fields = dict(line.split(":", 1) for line in _text(self._status).splitlines())
        return int(_text(self._schedstat).split()[0]), int(fields["voluntary_ctxt_switches"])


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 16, 0).decode()
