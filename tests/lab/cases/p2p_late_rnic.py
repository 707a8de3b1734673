"""An RNIC and a port come when the CMB is divided, and a host's verified I/O goes through it: the CMB is divided anew without a restart,
no command fails and no byte is wrong, and hosts of the new port use their part of it."""

import json

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)], links=2)
MIB = 1 << 20


def test(lab):
    lab.target.run("rdma link delete rxe1")
    target = daemon.start(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}]))
    alone = pools(lab)
    lab.check(list(alone) == ["rxe0"] and sum(alone["rxe0"]) > 60 * MIB, f"the only RNIC does not have the CMB: {alone}")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    load = fio.Endless(lab.host, device)
    while target.namespace()["reads"]["cmb"]["commands"] == 0:
        lab.check(load.running(), "a command failed, or a byte was wrong")

    lab.target.run("rdma link add rxe1 type rxe netdev eth1")
    daemon.command(lab, f"add port id=2 address={lab.target.address(1)}", timeout_s=60)
    target.wait_until_listening(2)
    shared = pools(lab)
    lab.check(sum(shared["rxe0"]) == sum(shared["rxe1"]) == sum(alone["rxe0"]) // 2, f"the CMB of {alone} was divided anew into {shared}")
    lab.check(load.running(), "a command failed, or a byte was wrong")
    load.finish()
    initiator.disconnect(lab.host, daemon.NQN)

    device = initiator.connect(lab.host, lab.target.address(1), daemon.NQN)
    before = target.namespace()
    fio.verify(lab.host, device, bs="64k", size_mib=4)
    after = target.namespace()
    moved = [after[direction]["cmb"]["commands"] - before[direction]["cmb"]["commands"] for direction in ("reads", "writes")]
    lab.check(min(moved) > 0, f"hosts of the new port do not use the CMB: {after}")
    lab.check(after["errors"] == 0 and after["fallbacks"]["refused"]["commands"] == 0, f"commands failed, or were refused: {after}")
    initiator.disconnect(lab.host, daemon.NQN)


def pools(lab):
    """Bytes of each pool in the CMB, by RNIC."""
    (ssd,) = json.loads(daemon.command(lab, "p2p --json").stdout)["ssds"]
    return {pair["rnic"]: [pool["size_bytes"] for pool in pair["pools"]] for pair in ssd["rnics"]}
