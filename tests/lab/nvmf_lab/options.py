"""What the command line decides for every case."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Options:
    binary: pathlib.Path
    """The daemon under test."""
    kernel: str
    """A name of kernel.SOURCES."""
    patience: float
    """What every time limit is multiplied by: they are those of a quiet machine."""
    keep: bool
    """Leave the guests up after the case."""
    thorough: bool = False
    """Repeat what a case repeats as often as its subject deserves, not only as often as every test run can pay for."""
