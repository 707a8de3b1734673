"""Host has two paths to a namespace while the world goes wrong: links go down and flap, packets vanish silently, a port is drained, the SSD is slow, the daemon is killed or upgraded, the target's CPUs halt, its power is cut. Verified I/O never fails; the case prints the longest time without an answer."""

import pathlib
import random
import time

from nvmf_lab import Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], links=2)
ALONE = True  # its gaps would be another case's doing beside one
TIME_LIMIT_S = 600
THOROUGH_LIMIT_S = 9000

OPTIONS = "-i 2 -k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
RATE_IOPS = 100  # in each direction
WAIT_S = 90
LONGER_THAN_KATO_S = 8
GAPS = pathlib.Path(__file__).resolve().parent.parent / "inside/gaps.py"
LEAST_GAP_S = 0.3
LOOK_S = 0.5  # until the host has told of a gap
PROGRAM = "/run/installed/nvmf-p2p"
SSD_SLOW_S = 3
SEED = 1


def test(lab):
    world = World(lab)
    chance = random.Random(SEED)
    thorough = lab.rounds(0, thorough=200)
    for fault in FAULTS if thorough else OF_NO_OTHER_CASE:
        world.suffer(fault, LONGER_THAN_KATO_S)
    for _ in range(thorough):
        world.suffer(chance.choice(FAULTS), chance.uniform(1, 12))
    if thorough:
        world.suffer(power_cut, 1)
    world.end()


class World:
    def __init__(self, lab):
        self.lab = lab
        self.faults = 0
        self.gaps = {}
        self.ports = [{"id": link + 1, "address": lab.target.address(link)} for link in (0, 1)]
        self.lives = 0
        self.mended = 0
        self.start()
        self.ways = [initiator.connect_controller(lab.host, port["address"], daemon.NQN, options=OPTIONS) for port in self.ports]
        devices = [initiator.wait_for_namespaces(lab.host, way)[0] for way in self.ways]
        lab.check(devices[0] == devices[1], f"the host did not join the two paths: {devices}")
        self.load = fio.Load(lab.host, devices[0], rate_iops=RATE_IOPS)
        self.watch = lab.host.start(f"exec python3 -I -S {GAPS} {devices[0].removeprefix('/dev/')} {LEAST_GAP_S}")
        lab.host.run("sleep 2")

    def start(self):
        """The daemon, where an upgrade finds it: as a package puts it there."""
        self.install()
        config = daemon.config(self.lab, [{"nvme": self.lab.target.generic()}], ports=self.ports)
        self.lives += 1
        self.target = daemon.start(self.lab, config, listens=2, name=f"life{self.lives}", program=PROGRAM)

    def install(self):
        folder = PROGRAM.rsplit("/", 1)[0]
        self.lab.target.run(f"mkdir -p {folder} && cp {daemon.stage(self.lab)} {PROGRAM}.new && mv {PROGRAM}.new {PROGRAM}")

    def busy_link(self):
        """That of the path by which the host's commands go now: the kernel takes one at a time, unless it is told otherwise."""
        before = [self.completed(way) for way in self.ways]
        self.lab.host.run("sleep 1")
        return max((0, 1), key=lambda link: self.completed(self.ways[link]) - before[link])

    def completed(self, way):
        """Reads and writes by this path: the kernel's block/stat, fields 1 and 5."""
        fields = [text.split() for text in self.lab.host.texts(f"/sys/class/nvme/{way}/nvme*c*n*/stat").values()]
        self.lab.check(len(fields) == 1, f"the host shows {len(fields)} paths of {way}")
        return int(fields[0][0]) + int(fields[0][4])

    def suffer(self, fault, seconds):
        """One fault, until both paths are back and the host's I/O goes on."""
        self.faults += 1
        before = len(self.watch.stdout)
        fault(self, seconds)
        self.mend_soft_roce()
        for way in self.ways:
            self.lab.host.until(f"grep -qx live /sys/class/nvme/{way}/state", timeout_s=WAIT_S)
        wait_for_writes(self.lab, self.target)
        time.sleep(LOOK_S)
        self.lab.check(self.load.running(), f"the host's I/O failed in fault {self.faults}, {name_of(fault)}: {self.load.story()}")
        new = [float(line.split()[1]) for line in self.watch.stdout[before:].splitlines()]
        self.gaps.setdefault(name_of(fault), []).append(max(new, default=0.0))

    def mend_soft_roce(self):
        """One packet of the connection manager that the kernel could not send ends that for good: as an operator does, by the words of
        target/daemon/README.md."""
        for link in range(len(self.ports)):
            if self.lab.target.run(f"rdma resource show qp link rxe{link} | grep -q 'type GSI state ERR'", check=False).exit_code == 0:
                self.lab.target.run(f"rdma link delete rxe{link} && rdma link add rxe{link} type rxe netdev eth{link}")
                self.mended += 1

    def end(self):
        self.watch.stop()
        figures = self.load.stop()
        for kind, gaps in sorted(self.gaps.items()):
            print(f"{kind}: {len(gaps)} times, longest time without an answer {max(gaps):.1f} s, mean {sum(gaps) / len(gaps):.1f} s")
        if self.mended:
            print(f"Soft-RoCE's queue pair for connection management broke, and was mended by hand: {self.mended} times")
        print(f"longest that a command took: {max(one.max_us for one in figures.values()) / 1e6:.1f} s")
        shown = initiator.controllers(self.lab.host, daemon.NQN)
        self.lab.check(shown == {way: "live" for way in self.ways}, f"the host has lost a controller, or has another: {shown}")
        initiator.disconnect(self.lab.host, daemon.NQN)


def link_down(world, seconds):
    link = world.busy_link()
    world.lab.host.set_link(up=False, link=link)
    time.sleep(seconds)
    world.lab.host.set_link(up=True, link=link)


def link_flaps(world, seconds):
    link, end = world.busy_link(), time.monotonic() + seconds
    while time.monotonic() < end:
        for up in (False, True):
            world.lab.target.set_link(up=up, link=link)
            time.sleep(0.3)


def packets_vanish(world, seconds):
    """Both ways, and no end is told."""
    ends, link = (world.lab.target, world.lab.host), world.busy_link()
    for guest in ends:
        guest.set_deaf(True, link=link)
    time.sleep(seconds)
    for guest in ends:
        guest.set_deaf(False, link=link)


def port_drained(world, seconds):
    port = world.ports[world.busy_link()]["id"]
    command(world, f"drain {port} --wait")
    time.sleep(seconds)
    command(world, f"resume {port}")


def ssd_slow(world, seconds):
    for bytes_per_s in (1, 0):
        world.lab.target.qmp("block_set_io_throttle", id="ssd0", bps=bytes_per_s, bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)
        if bytes_per_s != 0:
            time.sleep(SSD_SLOW_S)


def daemon_killed(world, seconds):
    world.target.kill()
    time.sleep(seconds)
    world.start()


def upgrade(world, seconds):
    world.install()
    said = command(world, "upgrade")
    world.lab.check("takes over" in said, f"the program was not upgraded: {said}")


def machine_halts(world, seconds):
    world.lab.target.freeze()
    time.sleep(seconds)
    world.lab.target.thaw()


def power_cut(world, seconds):
    world.target.forget()
    world.lab.target.kill()
    time.sleep(seconds)
    world.lab.restart("target")
    world.start()


OF_NO_OTHER_CASE = (link_down, link_flaps, packets_vanish, ssd_slow)
FAULTS = (*OF_NO_OTHER_CASE, port_drained, daemon_killed, upgrade, machine_halts)


def name_of(fault):
    return fault.__name__.replace("_", " ")


def command(world, arguments):
    return world.lab.target.run(f"{PROGRAM} {arguments}", timeout_s=WAIT_S).stdout


def wait_for_writes(lab, target):
    """More than there are now: the counters of a new program begin anew."""
    deadline = time.monotonic() + WAIT_S * lab.host.patience
    begin = writes(target)
    while writes(target) < begin + 20:
        lab.check(time.monotonic() < deadline, "the host writes nothing after a fault")
        time.sleep(0.2)


def writes(target):
    return sum(path["commands"] for path in target.namespace(1)["writes"].values())
