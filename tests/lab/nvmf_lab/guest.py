"""A guest as a case sees it: run commands, start programs, pull devices, cut the power."""

import dataclasses
import json
import pathlib
import time
from signal import SIGKILL, SIGTERM, Signals

from . import topology
from .agent_client import AgentClient, Command, check_hello
from .errors import CaseFailed
from .qemu import Qemu
from .qmp import Qmp
from .trace import Trace

TAIL_LINES = 5
KILL_GRACE_S = 10


@dataclasses.dataclass(frozen=True)
class Result:
    """A command that ended."""

    exit_code: int
    stdout: str
    stderr: str


class Program:
    """A command in the background."""

    def __init__(self, command: Command, guest: "Guest"):
        self._command, self._guest = command, guest
        self.pid = command.wait_for_pid(guest.patience * 10)

    def running(self) -> bool:
        return not self._command.ended

    @property
    def exit_code(self) -> int | None:
        return self._command.exit_code

    @property
    def stdout(self) -> str:
        return self._command.stdout

    @property
    def stderr(self) -> str:
        return self._command.stderr

    def signal(self, number: int = SIGTERM) -> None:
        """To the whole process group."""
        self._command.signal(number)

    def wait(self, timeout_s: float = 30, check: bool = True) -> Result:
        """Wait for the end; with `check`, anything but exit code 0 fails the case."""
        return self._guest.finish(self._command, timeout_s, check)

    def stop(self, timeout_s: float = 30, number: int = SIGTERM) -> Result:
        """Ask it to end and wait. It is killed, and the case fails, when it does not end in time."""
        if self.running():
            self.signal(number)
        return self.wait(timeout_s, check=False)


class Guest:
    """One running guest. Times are of a quiet machine: they are multiplied by `patience`."""

    def __init__(self, qemu: Qemu, patience: float, results: pathlib.Path):
        self.name = qemu.name
        self.patience = patience
        self.machine = qemu.machine
        self.console = qemu.console
        self.results = results
        """What the guest has as /results."""
        self.log = results / f"{qemu.name}.agent.log"
        self.trace = Trace(qemu.trace_file, qemu.machine.trace)
        self.altered = ""
        """What was done to its hardware, if anything was: no other case may have this guest."""
        self._unplugged: set[int] = set()
        self._modules: set[str] = set()
        self._survey: dict | None = None
        self._qemu = qemu
        self._agent: AgentClient | None = None
        self._qmp: Qmp | None = None

    def successor(self) -> "Guest":
        """The same machine, not yet powered on."""
        guest = Guest(self._qemu, self.patience, self.results)
        guest.altered = "booted again"
        return guest

    def power_on(self, links: list[list[str]]) -> None:
        self._qemu.start(links)

    def attach(self, boot_limit_s: float) -> None:
        """Connect to the QEMU that was started, and wait until the guest's agent reports."""
        self._agent = AgentClient(self._qemu.connect("agent"), self.name, self.log)
        self._qmp = Qmp(self._qemu.connect("qmp"), self.name)
        check_hello(self._agent, boot_limit_s * self.patience, self.console)

    def run(self, shell: str, timeout_s: float = 60, check: bool = True, env: dict[str, str] | None = None) -> Result:
        """Run a bash command line and wait. With `check`, anything but exit code 0 fails the case."""
        return self.finish(self._agent.start(shell, env), timeout_s, check)

    def start(self, shell: str, env: dict[str, str] | None = None) -> Program:
        """Start a bash command line in the background. Begin it with `exec` and the pid is the program's own."""
        return Program(self._agent.start(shell, env), self)

    def begin(self, shell: str, env: dict[str, str] | None = None) -> Command:
        """Start a command and leave the rest to the caller (the dev shell does)."""
        return self._agent.start(shell, env)

    def finish(self, command: Command, timeout_s: float, check: bool) -> Result:
        """Wait for a command's end, kill it at the time limit."""
        limit_s = timeout_s * self.patience
        if not command.wait(limit_s):
            command.signal(SIGKILL)
            command.wait(KILL_GRACE_S)
            raise CaseFailed(self._story(command, f"did not end within {limit_s:.0f} s"))
        if command.error:
            raise CaseFailed(self._story(command, command.error))
        if check and command.exit_code != 0:
            raise CaseFailed(self._story(command, _ending(command.exit_code)))
        return Result(command.exit_code, command.stdout, command.stderr)

    def until(self, shell: str, timeout_s: float = 30, every_s: float = 0.25) -> Result:
        """Repeat a command until it exits with 0; the case fails when that does not happen in time."""
        deadline = time.monotonic() + timeout_s * self.patience
        while True:
            command = self._agent.start(shell)
            result = self.finish(command, timeout_s, check=False)
            if result.exit_code == 0:
                return result
            if time.monotonic() > deadline:
                raise CaseFailed(self._story(command, f"still {_ending(result.exit_code)} after {timeout_s * self.patience:.0f} s"))
            time.sleep(every_s)

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file in the guest, its folders too."""
        data = text.encode() if isinstance(text, str) else text
        self.finish(self._agent.write(path, data), 30, check=True)

    def results_inside(self) -> str:
        """Where the guest's mount of the shared folder has what is to be /results."""
        return f"/lab/{self.results.relative_to(self._qemu.share)}"

    def enter_results(self) -> None:
        """Let /results in the guest be what `results` is here."""
        folder = self.results_inside()
        self.finish(self._agent.ask("enter", folder, folder=folder), 30, check=True)

    def survey(self) -> None:
        """Note what the guest is like, for `clean` to compare with."""
        self._survey = json.loads(self.finish(self._agent.ask("survey"), 30, check=True).stdout)

    def clean(self) -> list[str]:
        """Remove what a case left; returns what is still other than when the guest had booted, in words. Empty: another case may have it."""
        if not self.alive() or self.altered or self._unplugged:
            return [f"{self.name}: {self.altered or 'its hardware was changed'}"]
        found = json.loads(self.finish(self._agent.ask("clean", was=self._survey), 60, check=True).stdout)
        return [f"{self.name}: {difference}" for difference in found]

    def give_to(self, results: pathlib.Path) -> None:
        """The guest is another case's from now on, which has its results in that folder."""
        self.results = results
        self.log = results / f"{self.name}.agent.log"
        self._agent.log_to(self.log)
        self.enter_results()
        self.trace.mark()

    def read(self, path: str) -> str:
        """The text of a file in the guest (sysfs too)."""
        return self.finish(self._agent.ask("read", path, path=path), 30, check=True).stdout

    def texts(self, pattern: str) -> dict[str, str]:
        """The texts of all files that match, by path, without the blanks around; files that vanish meanwhile are left out."""
        return json.loads(self.finish(self._agent.ask("texts", pattern, pattern=pattern), 30, check=True).stdout)

    def ask(self, socket: str, path: str) -> str:
        """What a program that listens on a UNIX socket answers to HTTP's GET."""
        return self.finish(self._agent.ask("ask", path, socket=socket, path=path), 60, check=True).stdout

    def result_file(self, name: str) -> pathlib.Path:
        """Where the guests' /results/NAME is on this machine."""
        return self.results / name

    def modprobe(self, *modules: str) -> None:
        """Load modules; those that this guest was asked for before are there."""
        if missing := [module for module in modules if module not in self._modules]:
            self.run("modprobe -a " + " ".join(missing))
            self._modules.update(missing)

    def address(self, link: int = 0) -> str:
        return topology.address(self.name, link)

    def address_v6(self, link: int = 0) -> str:
        return topology.address_v6(self.name, link)

    def ssd(self, number: int = 0, namespace: int = 1) -> str:
        """The block device of the guest's SSD, found by serial: the order of /dev/nvmeX is not that of the declaration."""
        serial = self.machine.ssds[number].serial or f"ssd{number}"
        found = [path for path, text in self.texts("/sys/class/nvme/*/serial").items() if text == serial]
        if not found:
            raise CaseFailed(f"{self.name} has no NVMe controller with serial {serial}: was it pulled, or bound to another driver?")
        return f"/dev/{found[0].split('/')[4]}n{namespace}"

    def generic(self, number: int = 0, namespace: int = 1) -> str:
        """The generic character device of the guest's SSD, for passthrough."""
        return self.ssd(number, namespace).replace("/dev/nvme", "/dev/ng")

    def pci_address(self, number: int = 0) -> str:
        """The PCI address (0000:00:05.0) of the guest's SSD."""
        controller = self.ssd(number).split("/")[2].rsplit("n", 1)[0]
        return self.read(f"/sys/class/nvme/{controller}/address").strip()

    def qmp(self, command: str, /, **arguments):
        """A command of QEMU's machine protocol, e.g. qmp("query-pci")."""
        if not command.startswith("query-"):
            self.altered = f"QMP {command}"
        return self._qmp.command(command, **arguments)

    def device_del(self, device: str) -> None:
        """Ask for hot unplug by QEMU id (ssd0, nic0). It has an effect only on a port that can: pcie-root-port, xio3130-downstream."""
        self.qmp("device_del", id=device)

    def device_add(self, driver: str, /, **properties) -> None:
        self.qmp("device_add", driver=driver, **properties)

    def set_link(self, up: bool, link: int = 0) -> None:
        """Plug or unplug the cable of a network device."""
        self._qmp.command("set_link", name=f"nic{link}", up=up)
        (self._unplugged.discard if up else self._unplugged.add)(link)

    def set_deaf(self, deaf: bool, link: int = 0) -> None:
        """Let what comes in by a network device vanish, and tell no end. Not what goes out: a packet that the kernel takes back from it
        leaves Soft-RoCE's queue pair for connection management (GSI) in error for good."""
        device = f"eth{link}"
        if deaf:
            self.run(f"tc qdisc add dev {device} clsact && tc filter add dev {device} ingress matchall action drop")
        else:
            self.run(f"tc qdisc del dev {device} clsact")

    def freeze(self) -> None:
        """Halt its CPUs; its links stay up, and what is sent to it vanishes: a full socket would stop the other guest's sending instead, as no switch does."""
        self.qmp("stop")
        self._qemu.cut_wires()

    def thaw(self) -> None:
        """Let a frozen guest go on."""
        self._qemu.join_wires()
        self.qmp("cont")

    def kill(self) -> None:
        """Cut the power."""
        self._qemu.kill()
        self._agent.wait_until_gone(KILL_GRACE_S)

    def cpu_s(self) -> float:
        """CPU time its QEMU has used so far."""
        return self._qemu.cpu_s()

    def alive(self) -> bool:
        return self._qemu.alive()

    def close(self) -> None:
        """End QEMU without ceremony: nothing in a guest outlives the case."""
        self._qemu.kill()
        if self._agent:
            self._agent.close()

    def _story(self, command: Command, what: str) -> str:
        said = _last_lines("it said", command.stdout + command.stderr)
        asked = command.name.splitlines()
        story = f"on {self.name}: {asked[0]}{' ...' if asked[1:] else ''}\n  {what}; {said}\n  log: {self.log}"
        if command.error or not self.alive():
            story += "\n  " + _last_lines("its console said", self.console.read_text(errors="replace")) + f"\n  log: {self.console}"
        return story


def _last_lines(who: str, text: str) -> str:
    lines = text.splitlines()[-TAIL_LINES:]
    return "\n    ".join([f"{who} (last lines):", *lines]) if lines else f"{who} nothing"


def _ending(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else f"ended by {Signals(-exit_code).name}"
