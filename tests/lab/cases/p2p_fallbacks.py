"""Host asks for more than a CMB of 2 MiB holds; target spills to DRAM or waits, as its policy says, counts both, and the data is right."""

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=2), Ssd(cmb_mib=2), Ssd(cmb_mib=2)])


def test(lab):
    namespaces = [
        {"block": lab.target.ssd(0), "p2p": "prefer", "p2p_when_dry": "spill"},
        {"block": lab.target.ssd(1), "p2p": "prefer", "p2p_when_dry": "wait"},
        {"block": lab.target.ssd(2), "p2p": "prefer", "p2p_min_bytes": 16384},
    ]
    target = daemon.start(lab, daemon.config(lab, namespaces, rdma={"mdts_bytes": 131072}))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    devices = initiator.wait_for_namespaces(lab.host, controller, len(namespaces))
    for shape in (fio.Shape(4096, 64, 512), fio.Shape(128 << 10, 64, 96)):
        fio.verify_all(lab.host, devices, shape)

    spilled, waited, small = (target.namespace(nsid) for nsid in (1, 2, 3))
    lab.check(spilled["fallbacks"]["pool_dry"]["commands"] > 0 and spilled["reads"]["dram"]["bytes"] > 0, f"nothing was spilled: {spilled}")
    lab.check(waited["waits"] > 0, f"nothing waited: {waited}")
    lab.check(waited["fallbacks"]["pool_dry"]["commands"] == 0 and waited["reads"]["dram"]["bytes"] == 0, f"something was spilled: {waited}")
    lab.check(small["fallbacks"]["below_threshold"]["commands"] > 0, f"nothing was below the threshold: {small}")
    lab.check(small["reads"]["cmb"]["bytes"] > 0 and small["reads"]["dram"]["bytes"] > 0, f"4k should go through DRAM, 128k through the CMB: {small}")
    for one in (spilled, waited, small):
        lab.check(one["errors"] == 0, f"namespace {one['nsid']} counted errors: {one}")
