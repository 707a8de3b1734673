"""Namespaces of two SSDs without a CMB are to use the CMB of a third: the one below the same PCIe switch does, and QEMU's trace sees no data pointer of its own there;
the one on a root port of its own cannot reach it, which the self-test finds out before a host's command does. The CMB's own SSD takes part in its proof although it comes last."""

import json

from nvmf_lab import One, Ssd, daemon, fio, initiator

SWITCH = (
    *("-device", "pcie-root-port,id=rp0,chassis=1,slot=1", "-device", "x3130-upstream,id=up0,bus=rp0"),
    *("-device", "xio3130-downstream,id=dp0,bus=up0,chassis=2,slot=2", "-device", "xio3130-downstream,id=dp1,bus=up0,chassis=3,slot=3"),
    *("-device", "pcie-root-port,id=rp1,chassis=4,slot=4"),
)
TOPOLOGY = One(ssds=[Ssd(cmb_mib=64, bus="dp0"), Ssd(bus="dp1"), Ssd(bus="rp1")], qemu_args=SWITCH, trace=["pci_nvme_map_addr_cmb"])
TIME_LIMIT_S = 180


def test(lab):
    provider, beside, alone = (lab.target.pci_address(number) for number in (0, 1, 2))
    borrowed = {"p2p": "prefer", "p2p_provider": provider}
    lab.target.trace.mark()
    namespaces = [{"nvme": lab.target.generic(2), **borrowed}, {"nvme": lab.target.generic(1), **borrowed}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") > 0, "the CMB's own SSD did not take part in the self-test")
    shown = {one["nsid"]: one for one in json.loads(daemon.command(lab, "p2p --json").stdout)["namespaces"]}
    refused = f"data goes through DRAM: the SSD at {alone} did not pass the self-test with the CMB of {provider}: "
    lab.check(shown[1]["verdict"].startswith(refused), f"the SSD on its own root port: {shown[1]}")
    lab.check(shown[2]["verdict"] == f"data goes through the CMB of {provider}", f"the SSD below the switch: {shown[2]}")

    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    devices = initiator.wait_for_namespaces(lab.host, controller, 2)
    lab.target.trace.mark()
    for device in devices:
        fio.verify(lab.host, device, bs="16k", size_mib=2)
    apart, borrower = (target.namespace(nsid) for nsid in (1, 2))
    lab.check(apart["reads"]["cmb"]["commands"] == apart["writes"]["cmb"]["commands"] == 0, f"the CMB was used without a proof: {apart}")
    lab.check(min(borrower[direction]["cmb"]["bytes"] for direction in ("reads", "writes")) >= 2 << 20, f"the CMB of {provider} is not used: {borrower}")
    lab.check(borrower["fallbacks"]["refused"]["commands"] == 0, f"commands were refused: {borrower}")
    lab.check(apart["errors"] == borrower["errors"] == 0, f"commands failed: {apart}, {borrower}")
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") == 0, "an SSD resolved a data pointer into a CMB of its own")
    initiator.disconnect(lab.host, daemon.NQN)
