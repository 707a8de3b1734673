"""Who is compared. All are up and connected at once; only one is given work at a time."""

import dataclasses
import json
import pathlib

from nvmf_lab import daemon, initiator, nvmet
from nvmf_lab.errors import CaseFailed
from nvmf_lab.lab import Lab

from .jobs import REGION_MIB

INSIDE = pathlib.Path(__file__).resolve().parent.parent / "inside"
RAM_MIB = 128
FIRST_PORT = 4420


@dataclasses.dataclass
class Contender:
    name: str
    nqn: str
    port: int
    device: str = ""
    """The host's block device, once connected."""
    process: daemon.Daemon | None = None
    """None: the target is the kernel."""
    p2p: str = ""

    def connect(self, lab: Lab) -> None:
        self.device = initiator.connect(lab.host, lab.target.address(), self.nqn, self.port)
        # Each I/O of fio is to be one command. With multipath it is the path's queue, nvme1c1n1, that merges.
        paths = self.device.removeprefix("/dev/").removesuffix("n1") + "*n1"
        lab.host.run(f"for queue in /sys/block/{paths}/queue; do echo 2 >$queue/nomerges; done")

    def data_paths(self) -> dict[str, int]:
        """Commands by the memory their data went through, since the daemon's start."""
        if self.process is None:
            return {}
        said = self.process.stats(f"python3 -I -S {INSIDE / 'stats.py'} {_socket(self.name)}")
        paths: dict[str, int] = {}
        for namespace in said["namespaces"]:
            for direction in (namespace["reads"], namespace["writes"]):
                for path, counted in direction.items():
                    paths[path] = paths.get(path, 0) + counted["commands"]
        return paths


def ssd(lab: Lab, names: list[str], reactors: dict, base: pathlib.Path | None) -> list[Contender]:
    """On the emulated SSD: nvmet on its block device, ours by passthrough. A daemon wants its SSD for itself, so the one with P2P has a twin."""
    first, twin = lab.target.ssd(0), lab.target.ssd(1)
    for block in (first, twin):
        _prepare(lab, block)
    backends = {"ours": {"nvme": _character(first), "p2p": "off"}, "ours+p2p": {"nvme": _character(twin), "p2p": "require"}}
    if base:
        third, fourth = lab.target.ssd(2), lab.target.ssd(3)
        for block in (third, fourth):
            _prepare(lab, block)
        backends |= {"base": {"nvme": _character(third), "p2p": "off"}, "base+p2p": {"nvme": _character(fourth), "p2p": "require"}}
    return _start(lab, first, _chosen(backends, names), reactors, base)


def ram(lab: Lab, names: list[str], reactors: dict, base: pathlib.Path | None) -> list[Contender]:
    """On a RAM disk: nvmet, and ours by io_uring. There is no CMB. Ours in memory of its own: copied, and read by the RNIC itself."""
    lab.target.run(f"modprobe brd rd_nr=2 rd_size={RAM_MIB << 10} max_part=0")
    memory = {"memory": f"{RAM_MIB}MiB", "p2p": "off"}
    backends = {"ours": {"block": "/dev/ram0", "p2p": "off"}, "memory": memory, "direct": {**memory, "zero_copy": True}}
    if base:
        backends["base"] = {"block": "/dev/ram1", "p2p": "off"}
    for block in ("/dev/ram0", "/dev/ram1"):
        _fill(lab, block)
    return _start(lab, "/dev/ram0", _chosen(backends, names), reactors, base)


DEVICES = {"ssd": ssd, "ram": ram}
NAMES = ("nvmet", "ours", "ours+p2p")
"""By default; "memory" and "direct" beside them on a RAM disk."""
BASE_OF = {"ours": "base", "ours+p2p": "base+p2p"}
"""The same of another binary of ours (--base), to compare with."""


def _chosen(backends: dict[str, dict], names: list[str]) -> dict[str, dict]:
    wanted = {*names, *(BASE_OF[name] for name in names if name in BASE_OF)}
    return {name: backend for name, backend in backends.items() if name in wanted}


def _start(lab: Lab, block: str, backends: dict[str, dict], reactors: dict, base: pathlib.Path | None) -> list[Contender]:
    contenders = [Contender("nvmet", "nqn.2026-01.io.example:nvmet", FIRST_PORT)]
    for number, (name, backend) in enumerate(backends.items(), 1):
        binary = base if name in BASE_OF.values() else None
        contenders.append(_ours(lab, name, FIRST_PORT + number, backend, reactors, binary))
    # Last: it lets others open the device, while a daemon wants a block device for itself.
    nvmet.start(lab.target, block, contenders[0].nqn, port=FIRST_PORT)
    for contender in contenders:
        contender.connect(lab)
    return contenders


def _ours(lab: Lab, name: str, port: int, backend: dict, reactors: dict, binary: pathlib.Path | None) -> Contender:
    slug = name.replace("+", "-")
    nqn = f"nqn.2026-01.io.example:{slug}"
    config = {
        "log_level": "warn",
        "admin": {"socket": _socket(name)},
        "state_dir": f"/var/lib/nvmf-p2p-{slug}",
        "reactors": reactors,
        "ports": [{"id": 1, "address": lab.target.address(), "service": port}],
        "subsystems": [{"nqn": nqn, "allow_any_host": True, "namespaces": [backend]}],
    }
    process = daemon.start(lab, config, name=slug, binary=binary)
    return Contender(name, nqn, port, process=process, p2p=backend["p2p"])


def check_paths(contenders: list[Contender]) -> None:
    """Figures of a path that was not taken are worth nothing."""
    for one in contenders:
        paths = one.data_paths()
        wrong = {"off": "cmb", "require": "dram"}.get(one.p2p, "")
        if paths.get(wrong):
            raise CaseFailed(f"{one.name}: {paths[wrong]} commands went through {wrong} with p2p {one.p2p}: {json.dumps(paths)}")


def _socket(name: str) -> str:
    return f"/run/bench/{name.replace('+', '-')}.sock"


def _character(block: str) -> str:
    return block.replace("/nvme", "/ng")


def _prepare(lab: Lab, block: str) -> None:
    # What a disk with a queue per CPU has; the guest's single one would get a scheduler.
    lab.target.run(f"echo none >/sys/class/block/{block.split('/')[-1]}/queue/scheduler")
    _fill(lab, block)


def _fill(lab: Lab, block: str) -> None:
    """Write what will be read: blocks that were never written cost a device nothing."""
    lab.target.run(f"dd if=/dev/zero of={block} bs=1M count={REGION_MIB} oflag=direct status=none", timeout_s=120)
