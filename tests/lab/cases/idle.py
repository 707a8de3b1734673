"""Host holds sixteen I/O queues and sends only keep-alives, and a device is waited for; target uses under one per cent of a CPU."""

import time

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE
ALONE = True  # beside another case this machine has no CPU left to measure

CONTROLLERS, QUEUES_OF_EACH = 4, 4
IDLE_S = 15
SETTLE_S = 3
MISSING = "/srv/never/there"


def test(lab):
    nqns = [f"{daemon.NQN}:{number}" for number in range(CONTROLLERS)]
    disks = [{"block": lab.target.ssd(), "p2p": "prefer"}] + [{"memory": "16MiB"}] * (CONTROLLERS - 1)
    subsystems = [{"nqn": nqn, "allow_any_host": True, "namespaces": [disk]} for nqn, disk in zip(nqns, disks)]
    subsystems.append({"nqn": daemon.NQN, "allow_any_host": True, "namespaces": [{"file": MISSING}]})
    target = daemon.start(lab, daemon.config(lab, [], subsystems=subsystems))
    for nqn in nqns:
        initiator.connect(lab.host, lab.target.address(), nqn, options="-i 2 --nr-write-queues=2")
    target.wait_for_connections(CONTROLLERS * (1 + QUEUES_OF_EACH))
    time.sleep(SETTLE_S)

    used_s = -target.cpu_time_s()
    begin_s = uptime_s(lab)
    lab.target.run(f"sleep {IDLE_S}")
    used_s += target.cpu_time_s()
    share = used_s / (uptime_s(lab) - begin_s)
    print(f"{100 * share:.3f} % of a CPU")
    lab.check(share < 0.01, f"idle with {CONTROLLERS * QUEUES_OF_EACH} I/O queues it used {100 * share:.2f} % of a CPU")


def uptime_s(lab):
    return float(lab.target.read("/proc/uptime").split()[0])
