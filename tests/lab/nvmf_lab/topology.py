"""What a case declares: how many guests, and what hardware is in each."""

import dataclasses

MAC_PREFIX = "52:54:00:77"


@dataclasses.dataclass(frozen=True)
class Zones:
    """The zones of a zoned namespace. Zone sizes that Linux takes are powers of two."""

    size_mib: int = 4
    capacity_kib: int = 0
    """Of each zone what can be written; default: all."""
    max_active: int = 0
    """Zones that may be in the middle of being written; 0 is no limit."""
    max_open: int = 0
    extension_bytes: int = 0
    """Zone Descriptor Extensions, a multiple of 64; 0 is none."""


@dataclasses.dataclass(frozen=True)
class Ssd:
    """An emulated NVMe SSD. Its QEMU id (for device_del) is ssd0, ssd1, ... in the order of the list."""

    size_mib: int = 256
    cmb_mib: int = 0
    """Controller Memory Buffer, a power of two; 0 is none."""
    block_bytes: int = 512
    serial: str = ""
    """Default: the QEMU id."""
    bus: str = ""
    """The id of a PCIe port made by qemu_args; default: the root complex itself."""
    zones: Zones | None = None
    """Its namespace is a zoned one. Zones are empty again after each boot."""
    properties: str = ""
    """More properties of QEMU's nvme device, e.g. "mdts=5,max_ioqpairs=4"."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """The hardware of one guest."""

    ssds: tuple[Ssd, ...] | list[Ssd] = ()
    vcpus: int = 2
    memory_mib: int = 2048
    qemu_args: tuple[str, ...] | list[str] = ()
    """More QEMU arguments; they come before network devices and SSDs, so these can sit on ports made here."""
    nic_buses: tuple[str, ...] = ()
    """The id of a PCIe port made by qemu_args, for each network device; default: the root complex itself."""
    kernel_args: str = ""
    """More of the kernel's command line."""
    trace: tuple[str, ...] | list[str] = ()
    """QEMU trace events to record, e.g. pci_nvme_map_addr_cmb; read with guest.trace."""
    icount: bool = False
    """Count instructions: one guest nanosecond is one instruction. Demands vcpus=1."""
    slow_clock: int = 1
    """How many seconds pass here while one passes there. For programs whose own time limits an emulated CPU cannot keep: a guest has so many
    times the CPU time between two ticks. Guests that talk to each other need the same."""
    kernel: str = ""
    """A name of kernel.SOURCES; default: what the topology says."""
    packages: tuple[str, ...] = ()
    """Debian packages that lie over the machine's own root with what they depend on; see layer.py."""
    systemd: bool = False
    """Let systemd be process 1, with udev and the journal and none of the machine's own services; the agent is a unit of it."""
    machine: str = "q35"
    """QEMU's -machine, e.g. "q35,kernel-irqchip=split" for an IOMMU."""

    def __post_init__(self):
        if self.icount and self.vcpus != 1:
            raise ValueError("icount needs vcpus=1: QEMU counts instructions of one virtual CPU only")
        if self.icount and self.slow_clock != 1:
            raise ValueError("slow_clock needs the time stamp counter of this machine, icount has its own")


@dataclasses.dataclass(frozen=True)
class Topology:
    """What both topologies share."""

    target: Machine
    mtu: int = 9000
    """Of each network device. Soft-RoCE takes its path MTU from it: 9000 gives 4096, 1500 gives 1024."""
    links: int = 1
    """Network devices of each guest: eth0 with rxe0, eth1 with rxe1, ..."""
    rdma: bool = True
    """Put a Soft-RoCE device on each network device."""
    kernel: str = ""
    """A name of kernel.SOURCES; default: what the command line says."""

    def machines(self) -> dict[str, Machine]:
        """Hardware by the name of the guest."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class OneGuest(Topology):
    def machines(self) -> dict[str, Machine]:
        return {"target": self.target}


@dataclasses.dataclass(frozen=True)
class TwoGuests(Topology):
    host: Machine = dataclasses.field(default_factory=Machine)

    def machines(self) -> dict[str, Machine]:
        return {"target": self.target, "host": self.host}


@dataclasses.dataclass(frozen=True)
class ThreeGuests(TwoGuests):
    def machines(self) -> dict[str, Machine]:
        return {"target": self.target, "partner": self.target, "host": self.host}


_NETWORK = ("mtu", "links", "rdma", "kernel")


def One(**options) -> OneGuest:
    """One guest that talks to itself. Takes the fields of Machine and of Topology."""
    network = {name: options.pop(name) for name in _NETWORK if name in options}
    return OneGuest(target=Machine(**options), **network)


def Two(*, host: Machine | None = None, **options) -> TwoGuests:
    """A target and a host joined by a network. Takes the fields of Machine (for the target), of Topology, and `host`."""
    network = {name: options.pop(name) for name in _NETWORK if name in options}
    return TwoGuests(target=Machine(**options), host=host or Machine(), **network)


def Three(*, host: Machine | None = None, **options) -> ThreeGuests:
    """Two targets with the same hardware, `target` and `partner`, and a host, all in one network. Takes what Two takes."""
    two = Two(host=host, **options)
    return ThreeGuests(**{field.name: getattr(two, field.name) for field in dataclasses.fields(two)})


# What most cases declare, so that they can have the same guests one after the other: a boot costs as much as many a case.
ONE = One(ssds=[Ssd(cmb_mib=64), Ssd()])
TWO = Two(ssds=[Ssd(size_mib=512, cmb_mib=64), Ssd(size_mib=512)])


def address(guest: str, link: int = 0) -> str:
    """The IPv4 address of a guest's network device: 10.77.LINK.1 for the target, 10.77.LINK.2 for the host, 10.77.LINK.3 for the partner."""
    return f"10.77.{link}.{_number(guest)}"


def address_v6(guest: str, link: int = 0) -> str:
    """The IPv6 address of a guest's network device: fd77:0:0:LINK::1 for the target, ::2 for the host, ::3 for the partner."""
    return f"fd77:0:0:{link}::{_number(guest)}"


def mac(guest: str, link: int = 0) -> str:
    return f"{MAC_PREFIX}:{link:02x}:{_number(guest):02x}"


def _number(guest: str) -> int:
    return {"target": 1, "host": 2, "partner": 3}[guest]
