"""Operator upgrades the daemon under a host's verified load, again and again: on one path the host pauses and reconnects by itself, on two targets its I/O moves to the other one; no error, no wrong byte."""

import json
import time

from nvmf_lab import Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], links=2)
ALONE = True  # beside other guests Soft-RoCE may be kept waiting until its connections break
TIME_LIMIT_S = 420

OPTIONS = "-k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
RECONNECT_WAIT_S = 60
UPGRADE_WAIT_S = 60
RATE_IOPS = 150  # in each direction: enough that commands are always on their way, and some time is left for the rest
MIB = 64
PACKAGE = "/run/installed/package"  # the program, where a copy of it takes no time
CNTLIDS = ((1, 99), (100, 199))


def test(lab):
    one_path(lab)
    two_targets(lab)


def one_path(lab):
    program = install(lab, "one")
    config = daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}])
    target = daemon.start(lab, config, program=program)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=OPTIONS)
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    rounds = lab.rounds(2, thorough=20)
    load = fio.Load(lab.host, device, rate_iops=RATE_IOPS)
    lab.host.run("sleep 2")
    for number in range(rounds):
        upgrade(lab, "one", daemon.ADMIN_SOCKET)
        wait_for_writes(lab, target)
        lab.check(load.running(), f"the load ended with upgrade {number + 1}: {load.story()}")
    print_gap(lab, load, rounds, "one path")
    lab.check(initiator.controllers(lab.host, daemon.NQN) == {controller: "live"}, "the host has lost its controller, or has another")
    lab.check(target.output.count("and taken over") == rounds, f"the proof of the CMB was taken over {target.output.count('and taken over')} times in {rounds} upgrades")
    initiator.disconnect(lab.host, daemon.NQN)
    target.stop()


def two_targets(lab):
    lab.target.modprobe("loop", "dm_mod")
    storage = lab.target.run(f"truncate -s {MIB}M /run/shared.img && losetup --find --show /run/shared.img").stdout.strip()
    for number in (0, 1):
        # One storage under two names, as two machines see it: on one machine a daemon locks its file, disk and state_dir.
        lab.target.run(f"dmsetup create way{number} --table '0 {MIB * 2048} linear {storage} 0' && dmsetup mknodes")
    targets = [start(lab, number) for number in (0, 1)]
    ways = [initiator.connect_controller(lab.host, lab.target.address(link), daemon.NQN, options=OPTIONS) for link in (0, 1)]
    devices = [initiator.wait_for_namespaces(lab.host, way)[0] for way in ways]
    lab.check(devices[0] == devices[1], f"the host did not join the two targets: {devices}")
    rounds = lab.rounds(1, thorough=20)
    load = fio.Load(lab.host, devices[0], rate_iops=RATE_IOPS)
    lab.host.run("sleep 2")
    for number in range(rounds):
        for target, way in zip(targets, ways):
            upgrade(lab, target.name, socket_of(target.name))
            lab.host.until(f"grep -qx live /sys/class/nvme/{way}/state", timeout_s=RECONNECT_WAIT_S)
            lab.check(load.running(), f"the load ended with upgrade {number + 1} of {target.name}: {load.story()}")
    print_gap(lab, load, 2 * rounds, "two targets")
    lab.check(initiator.controllers(lab.host, daemon.NQN) == {way: "live" for way in ways}, "the host has lost a controller, or has another")
    initiator.disconnect(lab.host, daemon.NQN)


def start(lab, number):
    name = f"target{number}"
    least, most = CNTLIDS[number]
    subsystem = {"nqn": daemon.NQN, "allow_any_host": True, "cntlid_min": least, "cntlid_max": most, "namespaces": [{"block": f"/dev/mapper/way{number}"}]}
    port = {"id": number + 1, "address": lab.target.address(number)}
    own = {"admin": {"socket": socket_of(name)}, "state_dir": f"/var/lib/{name}"}
    return daemon.start(lab, daemon.config(lab, [], ports=[port], subsystems=[subsystem], **own), name=name, program=install(lab, name))


def socket_of(name):
    return f"/run/{name}.sock"


def install(lab, name):
    """As a package does: another file at the same path."""
    path = f"/run/installed/{name}/nvmf-p2p"
    lab.target.run(f"mkdir -p /run/installed/{name} && {{ [ -e {PACKAGE} ] || cp {daemon.stage(lab)} {PACKAGE}; }} && cp {PACKAGE} {path}.new && mv {path}.new {path}")
    return path


def upgrade(lab, name, socket):
    program = install(lab, name)
    before = started(lab, socket)
    said = lab.target.run(f"{program} upgrade --socket {socket}", timeout_s=UPGRADE_WAIT_S).stdout
    lab.check("takes over" in said and started(lab, socket) != before, f"the program was not upgraded: {said}")


def started(lab, socket):
    return json.loads(lab.target.ask(socket, "/v1/status"))["started_ms"]


def print_gap(lab, load, upgrades, where):
    figures = load.stop()
    longest = max(one.max_us for one in figures.values()) / 1e6
    print(f"on {where}, with {upgrades} upgrades: the longest that a command took is {longest:.1f} s")


def wait_for_writes(lab, target):
    """To the program that has taken over, whose counters begin anew."""
    deadline = time.monotonic() + RECONNECT_WAIT_S * lab.host.patience
    while sum(path["commands"] for path in target.namespace(1)["writes"].values()) == 0:
        lab.check(time.monotonic() < deadline, "the host writes nothing after the upgrade")
        time.sleep(0.2)
