"""The daemon under test: started in a guest with a configuration, watched, stopped, and its exit judged."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import time

from .errors import CaseFailed
from .guest import TAIL_LINES, Guest, Program
from .lab import Lab

ADMIN_SOCKET = "/run/nvmf-p2p/admin.sock"  # the default
LISTENING = ": listening on "  # what it says of each address
NQN = "nqn.2026-01.io.example:lab"
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
LISTEN_WAIT_S = 15
ASK_AGAIN_S = 2
STOP_WAIT_S = 15
RELOAD_WAIT_S = 15
# An address of its own, so that a sanitizer's report never mixes with what the daemon says.
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|: runtime error: ")
REPORT_LINES = 15
SANITIZER_VARIABLES = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")


@dataclasses.dataclass(frozen=True)
class Footprint:
    """What a process holds. Memory is in KiB."""

    resident_kib: int
    data_kib: int
    threads: int
    descriptors: int
    rdma_objects: dict[str, int]

    def leaked_since(self, before: "Footprint", tolerance_kib: int) -> str:
        """What is more than before, in words; empty when nothing is."""
        grown = [
            f"{name} {was} -> {now}"
            for name, was, now, tolerance in (
                ("resident memory", before.resident_kib, self.resident_kib, tolerance_kib),
                ("data segment", before.data_kib, self.data_kib, tolerance_kib),
                ("threads", before.threads, self.threads, 0),
                ("descriptors", before.descriptors, self.descriptors, 0),
                *((f"RDMA {kind}", before.rdma_objects[kind], self.rdma_objects[kind], 0) for kind in self.rdma_objects),
            )
            if now > was + tolerance
        ]
        return ", ".join(grown)


class Daemon:
    """One `nvmf-p2p run`. The lab checks at the end of the case that it lives, and stops it."""

    def __init__(self, guest: Guest, program: Program, name: str):
        self.guest, self.name = guest, name
        self.config_path = f"/results/{name}.json"
        self._program = program
        self._done = False

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def output(self) -> str:
        """All it has said so far, both streams."""
        return self._program.stdout + self._program.stderr

    def departures(self, nqn: str) -> list[str]:
        """What it said of hosts that lost, or left, a controller of this subsystem."""
        return [line for line in self.output.splitlines() if f"subsystem {nqn}, controller " in line and "disconnected host " in line]

    def running(self) -> bool:
        return self._program.running()

    def wait_until_listening(self, count: int = 1) -> None:
        """Until the daemon's process has `count` RDMA-CM identifiers that listen; asked of the kernel. The daemon's log only tells when to ask."""
        begin = asked = time.monotonic()
        while True:
            self.check_alive()
            if self.output.count(LISTENING) >= count or time.monotonic() > asked + ASK_AGAIN_S:
                if (listening := self.listening()) >= count:
                    return
                asked = time.monotonic()
                if asked > begin + LISTEN_WAIT_S * self.guest.patience:
                    raise CaseFailed(self._story(f"listens on {listening} of {count} addresses"))
            time.sleep(0.05)

    def listening(self) -> int:
        shown = json.loads(self.guest.run("rdma -j resource show cm_id").stdout or "[]")
        return sum(1 for one in shown if one.get("state") == "LISTEN" and one.get("pid") == self.pid)

    def wait_until_said(self, text: str, timeout_s: float = 15) -> None:
        """Until its output holds a text."""
        deadline = time.monotonic() + timeout_s * self.guest.patience
        while text not in self.output:
            self.check_alive()
            if time.monotonic() > deadline:
                raise CaseFailed(self._story(f"never said {text!r}"))
            time.sleep(0.1)

    def reload(self, config: dict | str) -> str:
        """Give it another configuration (text as it is) and SIGHUP; returns what it says from then to the end of the reload."""
        self.guest.write(self.config_path, config if isinstance(config, str) else json.dumps(config, indent=2) + "\n")
        before = len(self.output)
        self.signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_WAIT_S * self.guest.patience
        while not re.search(r": (reloaded |reload refused).*\n", self.output[before:]):
            self.check_alive()
            if time.monotonic() > deadline:
                raise CaseFailed(self._story("never ended its reload"))
            time.sleep(0.05)
        return self.output[before:]

    def signal(self, number: int) -> None:
        self._program.signal(number)

    def stats(self, request: str = "") -> dict:
        """The daemon's counters, from its admin API, or as a command in the guest prints them as JSON."""
        return json.loads(self.guest.run(request).stdout if request else self.guest.ask(ADMIN_SOCKET, "/v1/stats"))

    def namespace(self, nsid: int = 1, nqn: str = "") -> dict:
        """The counters of one namespace, in the only subsystem or the one named."""
        found = [one for one in self.stats()["namespaces"] if one["nsid"] == nsid and nqn in ("", one["subsystem"])]
        if len(found) != 1:
            raise CaseFailed(self._story(f"serves {len(found)} namespaces {nsid} {nqn}"))
        return found[0]

    def wait_for_connections(self, count: int, timeout_s: float = 15) -> float:
        """Until it has exactly so many queues; returns the seconds it took."""
        begin = time.monotonic()
        while (now := self.stats()["connections"]) != count:
            self.check_alive()
            if time.monotonic() > begin + timeout_s * self.guest.patience:
                raise CaseFailed(self._story(f"has {now} queues, not {count}, after {timeout_s * self.guest.patience:.0f} s"))
            time.sleep(0.2)
        return time.monotonic() - begin

    def cpu_time_s(self) -> float:
        """CPU time of all its threads, user and system, as the scheduler counted it in nanoseconds."""
        times = self.guest.run(f"cat /proc/{self.pid}/task/*/schedstat").stdout
        return sum(int(line.split()[0]) for line in times.splitlines()) / 1e9

    def footprint(self) -> "Footprint":
        """What it holds right now."""
        status = dict(re.findall(r"^(\w+):\s+(\d+)", self.guest.read(f"/proc/{self.pid}/status"), re.MULTILINE))
        descriptors = self.guest.run(f"ls /proc/{self.pid}/fd | wc -l").stdout
        kinds = {kind: self._rdma_objects(kind) for kind in ("qp", "cq", "mr", "pd", "cm_id", "srq", "ctx")}
        return Footprint(int(status["VmRSS"]), int(status["VmData"]), int(status["Threads"]), int(descriptors), kinds)

    def _rdma_objects(self, kind: str) -> int:
        said = self.guest.run(f"rdma -j resource show {kind}", check=False).stdout
        shown = json.loads(said) if said.strip() else []
        return sum(1 for one in shown if one.get("pid") == self.pid)

    def check_alive(self) -> None:
        self._check_sanitizers()
        if not self.running():
            self._done = True
            raise CaseFailed(self._story(f"ended by itself with {self._program.exit_code}"))

    def stop(self, expect_exit_code: int = 0) -> None:
        """SIGTERM; it must end in time and with the expected exit code."""
        self.check_alive()
        self._done = True
        result = self._program.stop(STOP_WAIT_S, signal.SIGTERM)
        self._check_sanitizers()
        if result.exit_code != expect_exit_code:
            raise CaseFailed(self._story(f"ended with {result.exit_code} after SIGTERM, not {expect_exit_code}"))

    def kill(self) -> None:
        """SIGKILL: for cases about crashes. Nothing more is demanded of this daemon."""
        self._done = True
        self._program.signal(signal.SIGKILL)
        self._program.wait(STOP_WAIT_S, check=False)

    def forget(self) -> None:
        """Its machine is about to lose its power. Nothing more is demanded of this daemon."""
        self._done = True

    def expect_exit(self, exit_code: int, timeout_s: float = 15) -> str:
        """For a daemon that must give up by itself; returns what it said."""
        self._done = True
        result = self._program.wait(timeout_s, check=False)
        self._check_sanitizers()
        if result.exit_code != exit_code:
            raise CaseFailed(self._story(f"ended with {result.exit_code}, not {exit_code}"))
        return self.output

    def finish(self) -> None:
        """The lab's check at the end of a case."""
        if not self._done:
            self.stop()

    def _check_sanitizers(self) -> None:
        if found := SANITIZER_REPORT.search(self.output):
            report = self.output[found.start() :].splitlines()[:REPORT_LINES]
            raise CaseFailed(self._story("a sanitizer reports:\n    " + "\n    ".join(report)))

    def _story(self, what: str) -> str:
        tail = "\n    ".join(self.output.splitlines()[-TAIL_LINES:])
        return f"the daemon {self.name} on {self.guest.name} (pid {self.pid}) {what}\n  it said (last lines):\n    {tail}\n  log: {self.guest.log}"


def config(lab: Lab, namespaces: list[dict], nqn: str = NQN, **more) -> dict:
    """A configuration: one port on the target's first address, one subsystem for any host. `more` are further top-level keys, or other values of these."""
    usual = {
        "log_level": "debug",
        "ports": [{"id": 1, "address": lab.target.address()}],
        "subsystems": [{"nqn": nqn, "allow_any_host": True, "namespaces": namespaces}],
    }
    return {**usual, **more}


def start(
    lab: Lab,
    config: dict,
    guest: Guest | None = None,
    listens: int = 1,
    name: str = "nvmf-p2p",
    arguments: str = "",
    env: dict[str, str] | None = None,
    binary: pathlib.Path | None = None,
    program: str = "",
) -> Daemon:
    """Start the daemon on the target (or another guest) and wait until it listens on `listens` addresses; 0 does not wait. `binary`: another than --binary; `program`: its path in the guest, where the case has put it."""
    guest = guest or lab.target
    staged = program or stage(lab, binary=binary)
    guest.write(f"/results/{name}.json", json.dumps(config, indent=2) + "\n")
    passed_on = {variable: os.environ[variable] for variable in SANITIZER_VARIABLES if variable in os.environ}
    shell = f"ulimit -c unlimited; exec {staged} run -c /results/{name}.json {arguments}"
    daemon = Daemon(guest, guest.start(shell, {**passed_on, **(env or {})}), name)
    lab.at_end(daemon.finish)
    if listens:
        daemon.wait_until_listening(listens)
    return daemon


def command(lab: Lab, arguments: str, check: bool = True, timeout_s: float = 30):
    """Run another command of the daemon's binary on the target (doctor, check, ...) and wait for its end."""
    return lab.target.run(f"{stage(lab)} {arguments}", timeout_s, check)


def stage(lab: Lab, program: str = "", binary: pathlib.Path | None = None) -> str:
    """Put the binary (or a test program built beside it, or another binary) beside the logs of the guests' boot under a name of its own, and return its path in the guests: a build at the same time must not change it under them."""
    source = binary or (lab.options.binary.with_name(program) if program else lab.options.binary)
    if not source.exists():
        raise CaseFailed(f"there is no {source.name} at {source.parent}: build it (cmake --preset release && cmake --build --preset release), or name it with --binary")
    stamp = source.stat().st_mtime_ns
    staged = lab.boot_out / f"bin/{source.name}.{stamp}"
    if not staged.exists():
        staged.parent.mkdir(exist_ok=True)
        shutil.copy2(source, staged)
    return lab.inside(staged)
