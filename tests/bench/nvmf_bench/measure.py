"""One measurement: a job on a contender's device, and what it cost."""

import dataclasses
import json
import shlex
import statistics

from nvmf_lab.guest import Guest

from .contenders import INSIDE, Contender
from .jobs import Job
from .modes import Mode

CALIBRATION_S = 0.1
CLOCK_TICKS_PER_S = 100
IDLE, IOWAIT = 3, 4  # fields of /proc/stat's cpu line


@dataclasses.dataclass(frozen=True)
class Figures:
    """Of one window. Costs are nanoseconds of CPU per I/O, which are instructions where those are counted."""

    ios: int
    iops: float
    cost_ns: float
    """Of the whole guest: host, wire and target."""
    idle: float
    """The part of the CPUs' time that nobody used, 0 to 1."""
    switches: float
    """Context switches of the whole guest per I/O."""
    own_ns: float | None
    """Of the target's own process; the kernel's target has none."""
    own_sleeps: float | None
    """How often the target's own threads slept, per I/O."""


class Meter:
    def __init__(self, guest: Guest, mode: Mode):
        self._guest, self._mode = guest, mode
        self._ns_per_turn = 0.0
        if mode.counted:
            # Without this each session of the agent is a scheduling group, in which «only when idle» means nothing.
            guest.run("echo 0 >/proc/sys/kernel/sched_autogroup_enabled")
            self._ns_per_turn = self._ask({"calibrate_s": CALIBRATION_S})["ns_per_turn"]

    def run(self, job: Job, contender: Contender) -> Figures:
        return self.figures(self.window(job, contender), contender)

    def window(self, job: Job, contender: Contender, **more) -> dict:
        """What inside/window.py says; `more` goes to it."""
        wanted = {
            "device": contender.device,
            "fio": job.fio_arguments(contender.device),
            "warmup_s": self._mode.warmup_s,
            "window_s": self._mode.window_s,
            "pid": contender.process.pid if contender.process else None,
            "soak": self._mode.counted,
        }
        return self._ask(wanted | more)

    def figures(self, said: dict, contender: Contender) -> Figures:
        begin, end = said["begin"], said["end"]
        ios = max(1, end["ios"] - begin["ios"])
        elapsed_ns = end["ns"] - begin["ns"]
        available_ns = elapsed_ns * self._mode.vcpus
        idle_ns = self._idle_ns(begin, end)
        own = contender.process is not None
        return Figures(
            ios=ios,
            iops=ios * 1e9 / elapsed_ns,
            cost_ns=(available_ns - idle_ns) / ios,
            idle=idle_ns / available_ns,
            switches=(end["switches"] - begin["switches"]) / ios,
            own_ns=(end["own_ns"] - begin["own_ns"]) / ios if own else None,
            own_sleeps=(end["own_sleeps"] - begin["own_sleeps"]) / ios if own else None,
        )

    def _ask(self, wanted: dict) -> dict:
        command = f"python3 -I -S {INSIDE / 'window.py'} {shlex.quote(json.dumps(wanted))}"
        return json.loads(self._guest.run(command, timeout_s=120).stdout)

    def _idle_ns(self, begin: dict, end: dict) -> float:
        if self._mode.counted:
            return (end["turns"] - begin["turns"]) * self._ns_per_turn
        ticks = sum(end["cpu_ticks"][field] - begin["cpu_ticks"][field] for field in (IDLE, IOWAIT))
        return ticks * 1e9 / CLOCK_TICKS_PER_S


def median(figures: list[Figures]) -> Figures:
    """Field by field."""

    def middle(values: list):
        return None if None in values else statistics.median(values)

    return Figures(**{field.name: middle([getattr(one, field.name) for one in figures]) for field in dataclasses.fields(Figures)})
