"""Operator has the self-test of an SSD's CMB repeated while a host's verified I/O goes through it: no command fails, no byte is wrong.
At an MTU at which P2P would corrupt, the command finds that out, and the namespace that requires P2P is out of service until it is proved again."""

import json

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)], trace=["pci_nvme_map_addr_cmb"])
PROVE_S = 60


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}]))
    ssd = lab.target.pci_address()
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)

    load = fio.Endless(lab.host, device)
    while target.namespace()["reads"]["cmb"]["commands"] == 0:
        lab.check(load.running(), "a command failed, or a byte was wrong")
    proved = prove(lab, ssd)
    lab.check(proved["host_reads"]["page_start_from_mtu"] == proved["host_writes"]["page_start_from_mtu"] == 4096, f"under load something else was proved: {proved}")
    lab.check(not any("an earlier start" in finding for finding in proved["findings"]), f"an earlier proof was taken over: {proved}")
    lab.check(load.running(), "a command failed, or a byte was wrong")
    load.finish()
    served = target.namespace()
    lab.check(served["errors"] == 0 and served["fallbacks"]["refused"]["commands"] == 0, f"commands failed, or were refused: {served}")
    initiator.disconnect(lab.host, daemon.NQN)

    lab.target.run("ip link set dev eth0 mtu 1500")
    lab.target.trace.mark()
    proved = prove(lab, "all")
    lab.check(proved["host_reads"]["page_start_from_mtu"] is None and "mtu 9000" in str(proved["remedies"]), f"at a small MTU this was proved: {proved}")
    (missing,) = json.loads(daemon.command(lab, "namespaces --json").stdout)
    lab.check(missing["state"] == "missing" and '"p2p" is "require"' in missing["reason"], f"a namespace without proof is served: {missing}")

    lab.target.run("ip link set dev eth0 mtu 9000")
    lab.target.trace.mark()
    said = daemon.command(lab, f"p2p --prove {ssd}", timeout_s=PROVE_S).stdout
    lab.check("whole pages from MTU 4096" in said and f"data goes through the CMB of {ssd}" in said, f"the command tells the result as:\n{said}")
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") > 0, "the SSD did not take part in the self-test")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    fio.verify(lab.host, device, bs="64k", size_mib=4)
    served = target.namespace()
    lab.check(min(served[direction]["cmb"]["commands"] for direction in ("reads", "writes")) > 0, f"the CMB is not used again: {served}")
    initiator.disconnect(lab.host, daemon.NQN)

    unknown = daemon.command(lab, "p2p --prove 0000:ff:1f.7", check=False)
    lab.check(unknown.exit_code == 1 and "0000:ff:1f.7" in unknown.stderr, f"an SSD that is not there is told as:\n{unknown.stderr}")


def prove(lab, which):
    """The result for the SSD with its RNIC."""
    answer = json.loads(daemon.command(lab, f"p2p --prove {which} --json", timeout_s=PROVE_S).stdout)
    (ssd,) = answer["ssds"]
    (pair,) = ssd["rnics"]
    return pair
