"""How a case ended, as the worker tells the runner: one JSON line."""

import dataclasses
import json

PASS, FAIL, SKIP, UP = "PASS", "FAIL", "SKIP", "UP"


@dataclasses.dataclass(frozen=True)
class Verdict:
    word: str
    seconds: float
    boot_s: float = 0.0
    """Until the guests were ready: a boot, or a clean-up after the case before."""
    cpu_s: float = 0.0
    """CPU time that the guests took meanwhile, and during the case."""
    story: str = ""
    """Why it failed or was skipped."""

    def to_line(self) -> str:
        return json.dumps(dataclasses.asdict(self)) + "\n"

    @staticmethod
    def from_line(line: str) -> "Verdict":
        return Verdict(**json.loads(line))
