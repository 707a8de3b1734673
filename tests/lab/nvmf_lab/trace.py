"""QEMU's trace of what an emulated device did, counted by event: an observation from outside the guest."""

import collections
import pathlib
import time

from .errors import CaseFailed

SETTLE_S = 0.3


class Trace:
    """One guest's trace file. QEMU writes a line per event; the name of the event stands before its first blank."""

    def __init__(self, path: pathlib.Path, events: tuple[str, ...] | list[str]):
        self.path = path
        self._events = tuple(events)
        self._position = 0

    def mark(self) -> None:
        """Count from here."""
        self._position = self._settled_size()

    def counts(self) -> collections.Counter:
        """How often each event happened since `mark`, or since the start."""
        self._settled_size()
        if not self.path.exists():
            return collections.Counter()
        with open(self.path, "rb") as file:
            file.seek(self._position)
            return collections.Counter(line.split(b" ", 1)[0].decode(errors="replace") for line in file)

    def count(self, event: str) -> int:
        if event not in self._events:
            raise CaseFailed(f"the case counts {event!r}, but its topology does not record it: add it to trace=")
        return self.counts()[event]

    def lines(self, event: str) -> list[str]:
        """The lines of one event since `mark`."""
        self._settled_size()
        with open(self.path, errors="replace") as file:
            file.seek(self._position)
            return [line.rstrip("\n") for line in file if line.startswith(event + " ")]

    def _settled_size(self) -> int:
        """The size of the file once QEMU has stopped writing to it: its output is buffered by line, not by us."""
        size = -1
        while True:
            now = self.path.stat().st_size if self.path.exists() else 0
            if now == size:
                return size
            size = now
            time.sleep(SETTLE_S)
