"""Host keeps its discovery controller; target's config changes, the host's kernel reports the event, and nvme-cli connects to what is new over that same controller."""

import time

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE

OTHER_NQN = "nqn.2026-01.io.example:other"
DISCOVERY_LOG_CHANGED = "NVME_AEN=0x70f002"  # what udev's rule of nvme-cli waits for
EVENT_WAIT_S = 15


def test(lab):
    address = lab.target.address()
    alone = daemon.config(lab, [{"memory": "16MiB"}])
    both = {**alone, "subsystems": alone["subsystems"] + [{"nqn": OTHER_NQN, "allow_any_host": True, "namespaces": [{"memory": "16MiB"}]}]}
    target = daemon.start(lab, alone)
    found = initiator.discover(lab.host, address, options="--persistent --keep-alive-tmo=30")
    lab.check(OTHER_NQN not in [one["subnqn"] for one in found], "the other subsystem is there too early")
    kept = lab.host.run("basename $(dirname $(grep -lx discovery /sys/class/nvme/*/cntrltype))").stdout.strip()

    events = lab.host.start("exec stdbuf -oL udevadm monitor --kernel --property --subsystem-match=nvme")
    wait_until_it_listens(lab, events)
    for config, wanted in ((both, {daemon.NQN, OTHER_NQN}), (alone, {daemon.NQN})):
        before = events.stdout.count(DISCOVERY_LOG_CHANGED)
        target.reload(config)
        wait_for_event(lab, events, before)
        shown = lab.host.run(f"nvme discover --device={kept} -t rdma -a {address} -s 4420 -o json").stdout
        lab.check((OTHER_NQN in shown) == (OTHER_NQN in wanted), f"after the event nvme discover shows: {shown}")
        if OTHER_NQN in wanted:
            lab.host.run(f"nvme connect-all --device={kept} -t rdma -a {address} -s 4420")
            for nqn in wanted:
                states = list(initiator.controllers(lab.host, nqn).values())
                lab.check(states == ["live"], f"after nvme connect-all {nqn} has controllers {states}")
            initiator.disconnect(lab.host, OTHER_NQN)
    events.stop()
    initiator.disconnect(lab.host, daemon.NQN)
    lab.host.run(f"nvme disconnect -d {kept}")


def wait_until_it_listens(lab, events):
    deadline = time.monotonic() + EVENT_WAIT_S * lab.host.patience
    while "the kernel uevent" not in events.stdout:
        lab.check(time.monotonic() < deadline, f"udevadm does not begin: {events.stdout}{events.stderr}")
        time.sleep(0.1)


def wait_for_event(lab, events, before):
    deadline = time.monotonic() + EVENT_WAIT_S * lab.host.patience
    while events.stdout.count(DISCOVERY_LOG_CHANGED) == before:
        lab.check(time.monotonic() < deadline, f"the kernel reports no change of the discovery log: {events.stdout}")
        time.sleep(0.1)
