"""How guests are wired, and what each runs at the start: names, drivers, addresses, Soft-RoCE."""

import pathlib
import uuid

from . import topology
from .guest import Guest

NODE_NAMESPACE = uuid.UUID("2f0f6a54-6a7e-4a5c-9d5b-0d7a3f6c1e77")


def wires(guests: list[str], links: int, runtime: pathlib.Path) -> dict[str, list[list[str]]]:
    """The -netdev arguments of each link of each guest, of which the first is what its network device has: a pair of datagram sockets, or,
    with more than two guests, a hub in the last one's QEMU."""
    make = _wire if len(guests) < 3 else _wire_of_hub
    return {name: [make(guests, name, link, runtime) for link in range(links)] for name in guests}


def _wire(guests: list[str], name: str, link: int, runtime: pathlib.Path) -> list[str]:
    # A single guest sends into a socket that nobody holds: packets vanish, as they do in an unplugged switch.
    other = next((other for other in guests if other != name), "nobody")
    return [_sockets(f"net{link}", runtime / f"{name}.link{link}", runtime / f"{other}.link{link}")]


def _wire_of_hub(guests: list[str], name: str, link: int, runtime: pathlib.Path) -> list[str]:
    *others, hub = guests
    if name != hub:
        return [_sockets(f"net{link}", runtime / f"{name}.link{link}", runtime / f"{hub}.link{link}.{name}")]
    ports = [f"hubport,id=net{link},hubid={link}"]
    for other in others:
        ports.append(_sockets(f"net{link}.{other}", runtime / f"{hub}.link{link}.{other}", runtime / f"{other}.link{link}"))
        ports.append(f"hubport,id=port{link}.{other},hubid={link},netdev=net{link}.{other}")
    return ports


def _sockets(name: str, here: pathlib.Path, there: pathlib.Path) -> str:
    return f"dgram,id={name},local.type=unix,local.path={here},remote.type=unix,remote.path={there}"


def set_up(guest: Guest, wiring: topology.Topology) -> None:
    """Make a guest ready for a case. One script, so that it costs one round trip."""
    guest.enter_results()
    lines = [
        "set -e",
        "echo /results/core.%e.%p >/proc/sys/kernel/core_pattern",
        _identity(guest.name),
        "ip link set lo up",
        "modprobe -a virtio_net nvme",
        *(_link(guest.name, link, wiring.mtu) for link in range(wiring.links)),
    ]
    if wiring.rdma:
        lines.append("modprobe -a rdma_rxe ib_uverbs rdma_ucm")
        lines += [f"rdma link add rxe{link} type rxe netdev eth{link}" for link in range(wiring.links)]
    lines.append("for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do if [ -e $cpu ]; then echo 1 >$cpu; fi; done")
    guest.run("\n".join(lines), timeout_s=60)


def _identity(name: str) -> str:
    """A host NQN and ID of the guest's own: the machine's /etc/nvme, seen by both guests, would make them one host."""
    identity = uuid.uuid5(NODE_NAMESPACE, name)
    return (
        f"mkdir -p /etc/nvme; rm -f /etc/nvme/*; echo {identity} >/etc/nvme/hostid; "
        f"echo nqn.2014-08.org.nvmexpress:uuid:{identity} >/etc/nvme/hostnqn"
    )


def _link(name: str, link: int, mtu: int) -> str:
    # The order of eth0, eth1 is found by MAC: the kernel's own order follows the PCI bus, which a case may fill.
    return (
        f"have=$(basename $(dirname $(grep -l {topology.mac(name, link)} /sys/class/net/*/address))); "
        f"if [ $have != eth{link} ]; then ip link set $have name eth{link}; fi; "
        f"ip link set eth{link} mtu {mtu} up; "
        f"ip address add {topology.address(name, link)}/24 dev eth{link}; "
        f"ip address add {topology.address_v6(name, link)}/64 dev eth{link} nodad"
    )
