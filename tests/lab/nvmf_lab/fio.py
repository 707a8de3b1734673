"""fio jobs in a guest: one that proves the bytes, one that measures."""

import dataclasses
import itertools
import json
import signal

from . import initiator
from .guest import Guest

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Figures:
    """What fio measured in one direction; latencies are completion latencies."""

    ios: int
    iops: float
    mib_per_s: float
    mean_us: float
    p99_us: float
    max_us: float


def verify(
    guest: Guest, device: str, rw: str = "randwrite", bs: str = "4k", iodepth: int = 8, size_mib: int = 8, options: str = "", timeout_s: float = 120
) -> dict[str, Figures]:
    """Write, read back and compare (crc32c of each block); a wrong byte fails the case. `options` are more of fio's."""
    wanted = f"--rw={rw} --bs={bs} --iodepth={iodepth} --size={size_mib}M --verify=crc32c --do_verify=1 --verify_fatal=1 {options}"
    return run(guest, device, wanted, timeout_s)


@dataclasses.dataclass(frozen=True)
class Shape:
    """A load to verify: block size in bytes, queue depth, and how many blocks are read or written."""

    block_bytes: int
    iodepth: int
    blocks: int


# From the smallest block to the largest transfer, and from one command at a time to a full queue.
SHAPES = (
    Shape(512, 1, 100),
    Shape(512, 64, 1024),
    Shape(4096, 16, 512),
    Shape(7680, 8, 300),
    Shape(128 << 10, 4, 32),
    Shape(1 << 20, 2, 6),
    Shape(1 << 20, 64, 24),
)


def verify_all(guest: Guest, devices: list[str], shape: Shape, timeout_s: float = 120) -> None:
    """Random reads and writes mixed on all devices at once, each verified (crc32c of each block); a wrong byte or an error fails the case."""
    size = shape.block_bytes * shape.blocks
    wanted = f"--rw=randrw --bs={shape.block_bytes} --iodepth={shape.iodepth} --size={size} --verify=crc32c --do_verify=1 --verify_fatal=1"
    jobs = " ".join(f"--name=job{number} --filename={device}" for number, device in enumerate(devices))
    guest.run(f"fio --ioengine=io_uring --direct=1 --thread {wanted} {jobs} --output=/results/fio-{next(_numbers)}.txt", timeout_s)


# In each direction. Enough that some commands are always on their way; without it an emulated CPU would do nothing else.
RATE_IOPS = 300


class Endless:
    """Random reads and writes mixed, verified (crc32c of each block), again and again until told that it is enough."""

    ENOUGH = "/run/fio-enough"

    def __init__(self, guest: Guest, device: str):
        wanted = f"--rw=randrw --bs=4k --iodepth=8 --rate_iops={RATE_IOPS} --size=8M --verify=crc32c --do_verify=1 --verify_fatal=1"
        once = f"fio --name=job --filename={device} --ioengine=io_uring --direct=1 --thread {wanted} --output=/results/fio-endless.txt"
        self._guest = guest
        guest.run(f"rm -f {self.ENOUGH}")
        self._job = guest.start(f"until [ -e {self.ENOUGH} ]; do {once} || exit 1; done")

    def running(self) -> bool:
        """False when a command failed or a byte was wrong."""
        return self._job.running()

    def finish(self, timeout_s: float = 60) -> None:
        """Have the present round end; the case fails when any command failed or a byte was wrong."""
        self._guest.run(f"touch {self.ENOUGH}")
        self._job.wait(timeout_s)


class Load:
    """Random reads and writes mixed, verified (crc32c of each block), without a pause until it is stopped. `rate_iops`: in each direction at most; 0: no limit."""

    def __init__(self, guest: Guest, device: str, iodepth: int = 8, rate_iops: int = 0):
        self._report = f"fio-{next(_numbers)}.json"
        self._guest = guest
        wanted = f"--rw=randrw --bs=4k --iodepth={iodepth} --size=16M --loops=100000 --verify=crc32c --verify_fatal=1"
        wanted += f" --rate_iops={rate_iops}" if rate_iops else ""
        self._job = guest.start(
            f"exec fio --name=load --filename={device} --ioengine=io_uring --direct=1 --thread {wanted} "
            f"--output-format=json --output=/results/{self._report}"
        )

    def running(self) -> bool:
        """False when a command failed or a byte was wrong."""
        return self._job.running()

    def story(self) -> str:
        return f"{self._job.stdout}{self._job.stderr}"

    def stop(self) -> dict[str, Figures]:
        """Figures by direction since the start."""
        self._job.stop(number=signal.SIGINT)
        return _report(self._guest, self._report)


# nvme connect's options, and what is verified with them: one I/O queue, then several of every kind.
_ROUNDS = (("-i 1", SHAPES[::2]), ("-i 2 --nr-write-queues=2 --nr-poll-queues=2", SHAPES))


def verify_queues_and_shapes(guest: Guest, address: str, nqn: str, namespaces: int) -> None:
    """All shapes on all namespaces of a subsystem, over one I/O queue and over several."""
    for options, shapes in _ROUNDS:
        controller = initiator.connect_controller(guest, address, nqn, options=options)
        devices = initiator.wait_for_namespaces(guest, controller, namespaces)
        for shape in shapes:
            verify_all(guest, devices, shape)
        initiator.disconnect(guest, nqn)


def measure(guest: Guest, device: str, rw: str, bs: str, iodepth: int, runtime_s: int, options: str = "") -> dict[str, Figures]:
    """A job by time. Figures of Soft-RoCE may only be compared with others of the same run."""
    wanted = f"--rw={rw} --bs={bs} --iodepth={iodepth} --time_based --runtime={runtime_s} --randrepeat=1 {options}"
    return run(guest, device, wanted, timeout_s=runtime_s + 60)


def run(guest: Guest, device: str, options: str, timeout_s: float = 120) -> dict[str, Figures]:
    """Any job on a device with io_uring and O_DIRECT: figures by direction ("read", "write"), of those that moved data."""
    # The report goes to a file of its own: hundreds of lines would bury the guest's log.
    number = next(_numbers)
    command = f"fio --name=job --filename={device} --ioengine=io_uring --direct=1 --thread {options}"
    guest.run(f"{command} --output-format=json --output=/results/fio-{number}.json", timeout_s)
    return _report(guest, f"fio-{number}.json")


def _report(guest: Guest, name: str) -> dict[str, Figures]:
    report = guest.result_file(name).read_text()
    job = json.loads(report[report.index("{") :])["jobs"][0]
    return {direction: _figures(job[direction]) for direction in ("read", "write", "trim") if job[direction]["total_ios"]}


def _figures(one: dict) -> Figures:
    latency = one["clat_ns"]
    return Figures(
        ios=one["total_ios"],
        iops=one["iops"],
        mib_per_s=one["bw_bytes"] / (1 << 20),
        mean_us=latency["mean"] / 1000,
        p99_us=latency.get("percentile", {}).get("99.000000", 0) / 1000,
        max_us=latency["max"] / 1000,
    )
