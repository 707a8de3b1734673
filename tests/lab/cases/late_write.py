"""Host's write sits at a slow disk while its controller is reset, shut down, disconnected, times out, or is reset by another controller of the host, over a second path too, while the first is silent; the host is told of the end when the write has ended, so that its next write by another path stays. Kernel's host: nvme admin-passthru resets the controller of one path by the other."""

from nvmf_lab import Two, daemon, initiator

TOPOLOGY = Two(links=2)
TIME_LIMIT_S = 300

# Ways to the same blocks: what is written by the first reaches the disk 6 s later, by the last one when it is told to.
WAYS = {"slow": "delay {disk} 0 0 {disk} 0 6000", "quick": "linear {disk} 0", "held": "linear {disk} 0"}
SECTORS = 65536
SAID = "/results/lost-path.txt"
STEPS = "/run/steps"
OPTIONS = "-k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"


def test(lab):
    lab.target.modprobe("loop", "dm_mod", "dm_delay")
    disk = lab.target.run(f"truncate -s {SECTORS * 512} /run/disk.img && losetup --find --show /run/disk.img").stdout.strip()
    for name, table in WAYS.items():
        lab.target.run(f"dmsetup create {name} --table '0 {SECTORS} {table.format(disk=disk)}' && dmsetup mknodes")
    ports = [{"id": link + 1, "address": lab.target.address(link)} for link in (0, 1)]
    daemon.start(lab, daemon.config(lab, [{"block": f"/dev/mapper/{name}"} for name in WAYS], ports=ports), listens=2)
    program = daemon.stage(lab, "hostile_host")
    lab.host.run(f"{program} late-write {lab.target.address()} {daemon.NQN}", timeout_s=200)
    lose_path(lab, program)
    reset_by_hand(lab)


def lose_path(lab, program):
    """The program says when what has to be done; see there."""
    rounds = lab.rounds(1, thorough=2)
    where = f"{lab.target.address(0)} {daemon.NQN} {lab.target.address(1)}"
    lab.host.run(f"mkdir {STEPS} && touch {SAID}")
    lab.target.run("dmsetup suspend --noflush --nolockfs held")
    lost = lab.host.start(f"{program} lost-path {where} {STEPS} {'all' if rounds == 2 else 'quick'} | tee {SAID}")
    for number in range(1, rounds + 1):
        step(lab, f"silence-{number}", lambda: silence(lab, True))
        step(lab, f"release-{number}", lambda: lab.target.run("dmsetup resume held"))
        step(lab, f"again-{number}", lambda: (silence(lab, False), lab.target.run("dmsetup suspend --noflush --nolockfs held")))
    said = lost.wait(60, check=False).stdout
    lab.target.run("dmsetup resume held")
    lab.check("0 expectations failed" in said, said)


def step(lab, name, do):
    lab.host.until(f"grep -q {name} {SAID}", timeout_s=90)
    do()
    lab.host.run(f"touch {STEPS}/{name}")


def silence(lab, begins):
    for guest in (lab.target, lab.host):
        guest.set_deaf(begins)


def reset_by_hand(lab):
    """What an administrator can do today: no kernel asks for it by itself yet."""
    ways = [initiator.connect_controller(lab.host, lab.target.address(link), daemon.NQN, options=OPTIONS) for link in (0, 1)]
    before = name_of(lab, ways[0])
    cntlid, ciu, cirn = before
    said = lab.host.run(
        f"nvme admin-passthru /dev/{ways[1]} --opcode=0x38 --cdw10={cntlid | ciu << 16} --cdw12={cirn & 0xFFFFFFFF} --cdw13={cirn >> 32} 2>&1"
    ).stdout
    lab.check("is Success" in said, f"the controller cannot be reset: {said}")
    lab.host.until(f"grep -qx live /sys/class/nvme/{ways[0]}/state && nvme id-ctrl /dev/{ways[0]}", timeout_s=60)
    lab.check(name_of(lab, ways[0])[1:] != before[1:], "the controller has the name of the one that was reset")
    initiator.disconnect(lab.host, daemon.NQN)


def name_of(lab, way):
    """CNTLID, CIU and CIRN of Identify Controller."""
    fields = lab.host.run(f"nvme id-ctrl /dev/{way} --raw-binary | od -An -v -tx1 -w144 -N144").stdout.split()
    number = lambda first, last: int("".join(reversed(fields[first : last + 1])), 16)
    return number(78, 79), number(135, 135), number(136, 143)
