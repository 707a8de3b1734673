"""The lab of one case: boots the guests of a topology, hands them out, and takes everything down again."""

import os
import pathlib
import shutil
import tempfile
import time
from typing import Callable

from . import kernel, network
from .errors import CaseFailed, CaseSkipped
from .guest import Guest
from .options import Options
from .qemu import Qemu
from .topology import Topology

BOOT_LIMIT_S = 60
# What a console must not hold at the end of a case. Plain warnings of the kernel are not ours to judge.
KERNEL_TROUBLE = ("BUG:", "Oops:", "Kernel panic", "general protection fault", "blocked for more than", "soft lockup", "detected stalls")


class Lab:
    """What a case gets. `target` and `host` are the same guest when the topology has only one."""

    def __init__(self, wiring: Topology, out: pathlib.Path, options: Options, share: pathlib.Path | None = None):
        """`out` takes the case's logs and results; `share`, a folder above it, those of all cases that may have these guests."""
        self.wiring, self.out, self.options = wiring, out, options
        self.boot_out = out
        """Where the guests' consoles and what concerns the whole boot are: the folder of the first case."""
        self._share = share or out
        self.guests: dict[str, Guest] = {}
        self.boot_s = 0.0
        """Seconds from the start of QEMU to guests that are set up."""
        self._runtime = pathlib.Path(tempfile.mkdtemp(prefix="nvmf-lab-"))
        self._at_end: list[Callable[[], None]] = []

    @property
    def target(self) -> Guest:
        return self.guests["target"]

    @property
    def host(self) -> Guest:
        return self.guests.get("host", self.target)

    def boot(self) -> None:
        begin = time.monotonic()
        machines = self.wiring.machines()
        self._wires = network.wires(list(machines), self.wiring.links, self._runtime)
        for name, machine in machines.items():
            chosen = kernel.get(machine.kernel or self.wiring.kernel or self.options.kernel)
            qemu = Qemu(name, machine, chosen, self._runtime, self.boot_out, self._share)
            self.guests[name] = Guest(qemu, self.options.patience, self.out)
            qemu.start(self._wires[name])
        for guest in self.guests.values():
            guest.attach(BOOT_LIMIT_S)
        for guest in self.guests.values():
            network.set_up(guest, self.wiring)
        self.boot_s = time.monotonic() - begin

    def survey(self) -> None:
        """Note what the guests are like before a case."""
        for guest in self.guests.values():
            guest.survey()

    def clean(self) -> list[str]:
        """Remove what the last case left in the guests; returns what it changed for good, in words."""
        try:
            # The host first: it disconnects better while the target's programs are there.
            return [difference for guest in reversed(self.guests.values()) for difference in guest.clean()]
        except CaseFailed as failure:
            return [str(failure)]

    def give_to(self, out: pathlib.Path) -> None:
        """The guests, cleaned up, are another case's from now on, whose logs and results go to `out`."""
        self.out, self._at_end = out, []
        for log in self.boot_out.iterdir():
            if log.name.endswith((".console.log", ".trace")):
                (out / log.name).symlink_to(os.path.relpath(log, out))
        for guest in self.guests.values():
            guest.give_to(out)

    def cpu_s(self) -> float:
        """CPU time that the guests' QEMUs have used so far."""
        return sum(guest.cpu_s() for guest in self.guests.values())

    def restart(self, name: str) -> Guest:
        """Boot a guest that was killed again, on the same wires and disks. The object of the dead guest is of no more use."""
        self._check_console(self.guests[name])
        self.guests[name].close()
        guest = self.guests[name] = self.guests[name].successor()
        guest.power_on(self._wires[name])
        guest.attach(BOOT_LIMIT_S)
        network.set_up(guest, self.wiring)
        return guest

    def inside(self, path: pathlib.Path) -> str:
        """The path in the guests of a file below the shared folder."""
        return f"/lab/{path.relative_to(self._share)}"

    def at_end(self, check: Callable[[], None]) -> None:
        """Have something done when the case's own steps have passed, last registered first; it may fail the case."""
        self._at_end.append(check)

    def finish(self) -> None:
        """The checks after the last step of a case."""
        while self._at_end:
            self._at_end.pop()()
        for guest in self.guests.values():
            self._check_console(guest)

    def close(self) -> None:
        """Everything down, nothing left. May be called at any time, more than once."""
        for guest in self.guests.values():
            guest.close()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def rounds(self, few: int, thorough: int) -> int:
        """How often to repeat: `thorough` times with --thorough, `few` times without."""
        return thorough if self.options.thorough else few

    def check(self, condition: object, otherwise: str) -> None:
        """Fail the case, with this text, unless the condition holds."""
        if not condition:
            raise CaseFailed(otherwise)

    def skip(self, reason: str) -> None:
        raise CaseSkipped(reason)

    def control_socket(self) -> pathlib.Path:
        return self._runtime / "control"

    def _check_console(self, guest: Guest) -> None:
        text = guest.console.read_text(errors="replace") if guest.console.exists() else ""
        for line in text.splitlines():
            if any(trouble in line for trouble in KERNEL_TROUBLE):
                raise CaseFailed(f"the kernel of {guest.name} is in trouble: {line.strip()}\n  log: {guest.console}")
