"""Host connects, reads, writes and disconnects fifty times; target's memory, descriptors and RDMA objects are as after the first round."""

import pathlib

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 200

ROUNDS = 50
TOLERANCE_KIB = 1024
RECONNECT = pathlib.Path(__file__).resolve().parent.parent / "inside/reconnect.py"


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(), "p2p": "prefer"}, {"memory": "16MiB"}]))
    initiator.discover(lab.host, lab.target.address())
    connect_and_leave(lab, 2)  # the second round uses what the first left
    target.wait_for_connections(0)
    before = target.footprint()

    connect_and_leave(lab, ROUNDS)
    initiator.discover(lab.host, lab.target.address())
    target.wait_for_connections(0)
    served = [target.namespace(nsid) for nsid in (1, 2)]
    lab.check(all(one["errors"] == 0 for one in served), f"commands failed: {served}")
    leaked = target.footprint().leaked_since(before, TOLERANCE_KIB)
    lab.check(not leaked, f"after {ROUNDS} rounds the daemon holds more: {leaked}")


def connect_and_leave(lab, rounds):
    """Each time, write and read both namespaces."""
    said = lab.host.run(f"python3 -I -S {RECONNECT} {lab.target.address()} {daemon.NQN} 2 {rounds}", timeout_s=150).stdout
    lab.check(said == f"{rounds} rounds\n", f"the host ended with {said!r}")
