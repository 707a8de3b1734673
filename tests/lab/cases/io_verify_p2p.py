"""Host reads and writes SSDs with a CMB at all block sizes and queue depths; target moves the data through the CMB (prefer and require)."""

from nvmf_lab import One, Ssd, daemon, fio

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)] * 4)
TIME_LIMIT_S = 240


def test(lab):
    namespaces = [
        {"block": lab.target.ssd(0), "p2p": "prefer"},
        {"block": lab.target.ssd(1), "p2p": "require"},
        {"nvme": lab.target.generic(2), "p2p": "prefer"},
        {"nvme": lab.target.generic(3), "p2p": "require"},
    ]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    fio.verify_queues_and_shapes(lab.host, lab.target.address(), daemon.NQN, len(namespaces))

    for one in target.stats()["namespaces"]:
        lab.check(one["errors"] == 0, f"namespace {one['nsid']} counted errors: {one}")
        lab.check(one["reads"]["cmb"]["bytes"] and one["writes"]["cmb"]["bytes"], f"namespace {one['nsid']} never used the CMB: {one}")
