"""The host's side: the kernel's nvme-rdma driver, driven with nvme-cli."""

import json
import time

from .errors import CaseFailed
from .guest import Guest


def discover(guest: Guest, address: str, port: int = 4420, options: str = "") -> list[dict]:
    """The records of a target's discovery log."""
    guest.modprobe("nvme_rdma")
    said = guest.run(f"nvme discover -t rdma -a {address} -s {port} -o json {options}").stdout
    return json.loads(said).get("records", []) if said.strip() else []


def connect(guest: Guest, address: str, nqn: str, port: int = 4420, options: str = "", namespaces: int = 1) -> str:
    """Connect, wait for the namespaces, and return the first one's block device. `options` go to `nvme connect` as they are."""
    controller = connect_controller(guest, address, nqn, port, options)
    return wait_for_namespaces(guest, controller, namespaces)[0]


def connect_controller(guest: Guest, address: str, nqn: str, port: int = 4420, options: str = "") -> str:
    """Connect and return the controller's name, e.g. nvme1."""
    guest.modprobe("nvme_rdma")
    said = guest.run(f"nvme connect -t rdma -a {address} -s {port} -n {nqn} -o json {options}").stdout
    return json.loads(said)["device"]


def wait_for_namespaces(guest: Guest, controller: str, count: int = 1, timeout_s: float = 20) -> list[str]:
    """The block devices of a controller, in the order of their namespace IDs, once there are `count` of them."""
    deadline = time.monotonic() + timeout_s * guest.patience
    while True:
        devices = block_devices(guest, controller)
        if len(devices) >= count:
            return devices
        if time.monotonic() > deadline:
            raise CaseFailed(f"{guest.name}: {controller} shows {len(devices)} of {count} namespaces ({devices}). console: {guest.console}")
        time.sleep(0.2)


def block_devices(guest: Guest, controller: str) -> list[str]:
    """The block devices of a controller. With multipath the disk is the subsystem's (nvme1n1), the controller only has a path (nvme1c1n1)."""
    listing = guest.texts(f"/sys/class/nvme/{controller}/nvme*n*/nsid")
    found = sorted((int(nsid), _disk(path.split("/")[-2])) for path, nsid in listing.items())
    return [f"/dev/{disk}" for _, disk in found]


def disconnect(guest: Guest, nqn: str) -> None:
    guest.run(f"nvme disconnect -n {nqn}")


def controllers(guest: Guest, nqn: str) -> dict[str, str]:
    """The state (live, connecting, ...) of each controller of a subsystem, by name."""
    states = guest.texts("/sys/class/nvme/*/state")
    subsystems = guest.texts("/sys/class/nvme/*/subsysnqn")
    found = {path.split("/")[-2]: path.removesuffix("subsysnqn") + "state" for path, subsystem in subsystems.items() if subsystem == nqn}
    return {name: states[state] for name, state in found.items() if state in states}


def _disk(name: str) -> str:
    """nvme1c2n3 -> nvme1n3"""
    subsystem, _, namespace = name.removeprefix("nvme").partition("n")
    return f"nvme{subsystem.split('c')[0]}n{namespace}"
