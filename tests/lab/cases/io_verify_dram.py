"""Host reads and writes every backend at all block sizes and queue depths, over one queue and several; target moves the data through DRAM."""

from nvmf_lab import ONE, daemon, fio

TOPOLOGY = ONE
TIME_LIMIT_S = 240


def test(lab):
    lab.target.run("truncate -s 64M /tmp/disk")
    namespaces = [
        {"nvme": lab.target.generic(0), "p2p": "off"},
        {"block": lab.target.ssd(1), "p2p": "off"},
        {"file": "/tmp/disk", "block_size": 512},
        {"memory": "64MiB"},
    ]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    fio.verify_queues_and_shapes(lab.host, lab.target.address(), daemon.NQN, len(namespaces))

    for one in target.stats()["namespaces"]:
        lab.check(one["errors"] == 0, f"namespace {one['nsid']} counted errors: {one}")
        lab.check(one["reads"]["cmb"]["commands"] == one["writes"]["cmb"]["commands"] == 0, f"P2P is off, but the CMB was used: {one}")
