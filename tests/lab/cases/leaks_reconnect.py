"""Host connects, reads, writes and disconnects fifty times; target's memory, descriptors and RDMA objects are as after the first round."""

from nvmf_lab import One, Ssd, daemon, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)])
TIME_LIMIT_S = 300

ROUNDS = 50
TOLERANCE_KIB = 1024


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(), "p2p": "prefer"}, {"memory": "16MiB"}]))
    initiator.discover(lab.host, lab.target.address())
    for _ in range(2):  # the second round uses what the first left
        connect_and_leave(lab)
    target.wait_for_connections(0)
    before = target.footprint()

    for _ in range(ROUNDS):
        connect_and_leave(lab)
    initiator.discover(lab.host, lab.target.address())
    target.wait_for_connections(0)
    leaked = target.footprint().leaked_since(before, TOLERANCE_KIB)
    lab.check(not leaked, f"after {ROUNDS} rounds the daemon holds more: {leaked}")


def connect_and_leave(lab):
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    for device in initiator.wait_for_namespaces(lab.host, controller, 2):
        lab.host.run(f"dd if=/dev/zero of={device} bs=128k count=8 oflag=direct status=none; dd if={device} of=/dev/null bs=128k count=8 iflag=direct status=none")
    initiator.disconnect(lab.host, daemon.NQN)
