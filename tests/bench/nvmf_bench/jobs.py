"""The fio jobs, each with the least that the target may reach beside nvmet."""

import dataclasses
import fnmatch

REGION_MIB = 64


@dataclasses.dataclass(frozen=True)
class Job:
    rw: str
    bs: str
    iodepth: int
    goal: float | None = None
    """Least ratio to nvmet, counted, in instructions per I/O; None: no goal."""

    @property
    def name(self) -> str:
        return f"{self.rw}-{self.bs}-qd{self.iodepth}"

    def fio_arguments(self, device: str) -> list[str]:
        """An endless job: whoever starts it ends it."""
        return [
            "--name=bench",
            f"--filename={device}",
            f"--rw={self.rw}",
            f"--bs={self.bs}",
            f"--iodepth={self.iodepth}",
            f"--size={REGION_MIB}M",
            *("--ioengine=io_uring", "--direct=1", "--thread", "--cpus_allowed=0"),
            *("--time_based", "--runtime=1h", "--randrepeat=1", "--norandommap", "--eta=never"),
        ]


JOBS = (
    Job("randread", "4k", 1, goal=0.8),
    Job("randread", "4k", 4),
    Job("randread", "4k", 16, goal=1.0),
    Job("randread", "4k", 64),
    Job("randwrite", "4k", 16, goal=1.0),
    Job("randread", "128k", 8, goal=1.0),
    Job("randwrite", "128k", 8, goal=1.0),
)

_NAMES = {job.name for job in JOBS}


def select(patterns: str) -> list[Job]:
    """The jobs that match one of the comma-separated patterns (randread-4k-*, or a part of the name)."""
    wanted = [pattern if "*" in pattern or pattern in _NAMES else f"*{pattern}*" for pattern in patterns.split(",")]
    return [job for job in JOBS if any(fnmatch.fnmatch(job.name, pattern) for pattern in wanted)]
