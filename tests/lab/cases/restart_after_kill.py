"""Daemon is killed under a host's verified load and started again: the host goes on by itself with the same namespaces, and the bytes are right; other storage in the same place is another namespace."""

import json
import time

from nvmf_lab import TWO, daemon, fio, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 300

OPTIONS = "-k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
RECONNECT_WAIT_S = 60


def test(lab):
    lab.target.run("truncate -s 64M /run/one.img /run/other.img")
    config = daemon.config(lab, [{"file": "/run/one.img"}, {"block": lab.target.ssd(1)}])
    target = daemon.start(lab, config)
    controller, devices = connect(lab, 2)
    before = [identifiers(lab, device) for device in devices]
    load = fio.Endless(lab.host, devices[0])
    for life in range(lab.rounds(1, thorough=3)):
        lab.host.run("sleep 2")
        target.kill()
        target = daemon.start(lab, config, name=f"life{life + 2}")
        wait_for_writes(lab, target)
        lab.check(load.running(), f"the load ended when the daemon was killed, {life} times before it")
    load.finish()
    lab.check(initiator.controllers(lab.host, daemon.NQN) == {controller: "live"}, "the host has lost its controller, or has another")
    after = [identifiers(lab, device) for device in devices]
    lab.check(after == before, f"the namespaces were {before}, and are {after}")

    initiator.disconnect(lab.host, daemon.NQN)
    swapped = daemon.config(lab, [{"file": "/run/other.img"}, {"block": lab.target.ssd(1)}])
    for wanted, same in ((swapped, False), (config, True)):
        target.stop()
        target = daemon.start(lab, wanted, name=f"same-{same}")
        shown = [identifiers(lab, device) for device in connect(lab, 2)[1]]
        lab.check((shown[0] == before[0]) == same, f"namespace 1 was {before[0]}, and is {shown[0]} with {wanted['subsystems'][0]['namespaces'][0]}")
        lab.check(shown[1] == before[1], f"namespace 2 was {before[1]}, and is {shown[1]}, with the same SSD")
        initiator.disconnect(lab.host, daemon.NQN)


def connect(lab, namespaces):
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=OPTIONS)
    return controller, initiator.wait_for_namespaces(lab.host, controller, namespaces)


def identifiers(lab, device):
    """What the target says now, and what the kernel keeps."""
    told = json.loads(lab.host.run(f"nvme ns-descs {device} -o json").stdout)
    kept = lab.host.run(f"cat /sys/class/block/{device.removeprefix('/dev/')}/wwid").stdout.strip()
    return {**told, "wwid": kept}


def wait_for_writes(lab, target):
    deadline = time.monotonic() + RECONNECT_WAIT_S * lab.host.patience
    while sum(path["commands"] for path in target.namespace(1)["writes"].values()) == 0:
        lab.check(time.monotonic() < deadline, "the host writes nothing after the daemon was started again")
        time.sleep(0.2)
