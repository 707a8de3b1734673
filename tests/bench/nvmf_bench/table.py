"""Results by job and contender: the table, the goals, the JSON file."""

import dataclasses
import statistics

from .contenders import BASE_OF
from .jobs import Job
from .measure import Figures, median
from .modes import Mode

PEER = "nvmet"
LEGEND = {
    True: "k/IO: thousands of instructions per I/O of the whole guest (host, Soft-RoCE and target). own k/IO: of the target's process.\n"
    "ratio: nvmet's instructions per I/O / this target's; more than 1 is better than nvmet. IOPS are of a CPU with 1 instruction per\n"
    "nanosecond; idle: waiting for QEMU's disk, which ratio leaves out. sw/IO: context switches per I/O; sleeps/IO: of the own threads.",
    False: "us/IO: CPU time per I/O of the whole guest (host, Soft-RoCE and target). own us/IO: of the target's process.\n"
    "ratio: this target's IOPS / nvmet's of the same round; cpu ratio: nvmet's CPU time per I/O / this target's. More than 1 is better\n"
    "than nvmet. sw/IO: context switches per I/O; sleeps/IO: of the own threads. An emulated CMB is slow by the wall clock.",
}


class Results:
    def __init__(self, mode: Mode, device: str):
        self.mode, self.device = mode, device
        self.failures: dict[tuple[Job, str], str] = {}
        self._rounds: dict[tuple[Job, str], list[Figures]] = {}

    def add_failure(self, job: Job, contender: str, why: str) -> None:
        self.failures[job, contender] = why

    def add(self, job: Job, contender: str, figures: Figures) -> None:
        self._rounds.setdefault((job, contender), []).append(figures)

    def median(self, job: Job, contender: str) -> Figures:
        return median(self._rounds[job, contender])

    def cost_ratio(self, job: Job, contender: str) -> float:
        """How often the contender does an I/O for what one costs with nvmet."""
        return self._ratio(job, contender, lambda ours, peer: peer.cost_ns / ours.cost_ns)

    def speed_ratio(self, job: Job, contender: str) -> float:
        return self._ratio(job, contender, lambda ours, peer: ours.iops / peer.iops)

    def missed_goals(self) -> list[str]:
        """Only instructions can miss a goal: the wall clock is noise."""
        if not self.mode.counted:
            return []
        ratios = [(job, name, self.cost_ratio(job, name)) for job, name in self._complete() if name != PEER and job.goal]
        return [
            f"missed: {job.name} {name} reaches {ratio:.2f} of nvmet, the goal is {job.goal:.2f}"
            for job, name, ratio in ratios
            if ratio < job.goal
        ]

    def compared(self) -> list[str]:
        """What this binary costs of what the other one (--base) does."""
        return [self._beside_base(job, name) for job, name in self._complete() if (job, BASE_OF.get(name)) in self._complete()]

    def _beside_base(self, job: Job, name: str) -> str:
        pairs = list(zip(self._rounds[job, name], self._rounds[job, BASE_OF[name]]))
        whole = statistics.median(ours.cost_ns / base.cost_ns for ours, base in pairs)
        own = statistics.median((ours.own_ns or 0) / (base.own_ns or 1) for ours, base in pairs)
        return f"{job.name} {name}: {whole:.3f} of {BASE_OF[name]}, the target's process {own:.3f}"

    def _complete(self) -> list[tuple[Job, str]]:
        """Those that can be compared."""
        failed = {*self.failures, *((job, name) for job, name in self._rounds if (job, PEER) in self.failures)}
        return [key for key in self._rounds if key not in failed]

    def table(self) -> str:
        heads = _HEADS[self.mode.counted]
        lines = [heads]
        for job, name in sorted({**self._rounds, **self.failures}, key=self._order):
            lines.append(["", name, "failed"] if (job, name) in self.failures else self._row(job, name))
        return "\n".join([_format(line) for line in lines] + [LEGEND[self.mode.counted]])

    def to_json(self) -> dict:
        rows = [
            {
                "job": job.name,
                "target": name,
                "speed_ratio": self.speed_ratio(job, name),
                "cost_ratio": self.cost_ratio(job, name),
                "median": dataclasses.asdict(self.median(job, name)),
                "rounds": [dataclasses.asdict(one) for one in rounds],
            }
            for (job, name), rounds in ((key, self._rounds[key]) for key in self._complete())
        ]
        failures = [{"job": job.name, "target": name, "why": why} for (job, name), why in self.failures.items()]
        return {"mode": self.mode.name, "device": self.device, "rows": rows, "missed": self.missed_goals(), "failures": failures}

    def _order(self, key: tuple[Job, str]) -> int:
        jobs = list(dict.fromkeys(job for job, _ in [*self._rounds, *self.failures]))
        return jobs.index(key[0])

    def _ratio(self, job: Job, contender: str, of_pair) -> float:
        pairs = zip(self._rounds[job, contender], self._rounds[job, PEER])
        return statistics.median(of_pair(ours, peer) for ours, peer in pairs)

    def _row(self, job: Job, name: str) -> list[str]:
        one = self.median(job, name)
        first = name == PEER
        ratios = [self.cost_ratio(job, name)] if self.mode.counted else [self.speed_ratio(job, name), self.cost_ratio(job, name)]
        return [
            job.name if first else "",
            name,
            *(["", ""][: len(ratios)] if first else [f"{ratio:.2f}" for ratio in ratios]),
            f"{one.cost_ns / 1000:.1f}",
            "" if one.own_ns is None else f"{one.own_ns / 1000:.1f}",
            f"{one.iops:.0f}",
            f"{100 * one.idle:.0f} %",
            f"{one.switches:.2f}",
            "" if one.own_sleeps is None else f"{one.own_sleeps:.2f}",
        ]


_HEADS = {
    True: ["job", "target", "ratio", "k/IO", "own k/IO", "IOPS", "idle", "sw/IO", "sleeps/IO"],
    False: ["job", "target", "ratio", "cpu ratio", "us/IO", "own us/IO", "IOPS", "idle", "sw/IO", "sleeps/IO"],
}


def _format(cells: list[str]) -> str:
    left = f"{cells[0]:<20}{cells[1]:<10}"
    return (left + "".join(f"{cell:>10}" for cell in cells[2:])).rstrip()
