"""Target finds at path MTU 1024 that P2P would corrupt, says why, serves "prefer" over DRAM and refuses "require"; host reads right data.
The MTU is raised and the host reconnects: both namespaces are served by P2P, without a restart or reload."""

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64), Ssd(cmb_mib=64)], mtu=1500, trace=["pci_nvme_map_addr_cmb"])


def test(lab):
    namespaces = [{"block": lab.target.ssd(0), "p2p": "prefer"}, {"block": lab.target.ssd(1), "p2p": "require"}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    for said in ("MTU", 'namespace 2 of nqn.2026-01.io.example:lab is not served: "p2p" is "require"', "data goes through DRAM"):
        lab.check(said in target.output, f"the daemon does not say {said!r}:\n{target.output}")

    lab.target.trace.mark()
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    for shape in fio.SHAPES[1::2]:
        fio.verify_all(lab.host, [device], shape)
    listed = lab.host.run(f"nvme list-ns {device}").stdout.split()
    lab.check(listed[-1].endswith("0x1"), f"the host sees more than the namespace that is served: {listed}")

    served = target.namespace(1)
    lab.check(served["reads"]["cmb"]["commands"] == served["writes"]["cmb"]["commands"] == 0, f"the CMB was used: {served}")
    lab.check(served["fallbacks"]["refused"]["commands"] > 0, f"no fallback was counted: {served}")
    lab.check(served["p2p"]["verdict"].startswith("data goes through DRAM: "), f"the verdict does not say why: {served['p2p']}")
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") == 0, "the SSD saw data pointers into its CMB")

    initiator.disconnect(lab.host, daemon.NQN)
    lab.target.run("ip link set dev eth0 mtu 9000")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    devices = initiator.wait_for_namespaces(lab.host, controller, 2)
    for nsid, device in enumerate(devices, 1):
        fio.verify(lab.host, device, bs="64k", size_mib=4)
        served = target.namespace(nsid)
        moved = [served[direction]["cmb"]["commands"] for direction in ("reads", "writes")]
        lab.check(min(moved) > 0, f"after the MTU was raised the CMB of namespace {nsid} is not used: {served}")
    initiator.disconnect(lab.host, daemon.NQN)
