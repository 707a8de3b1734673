"""Host reads and writes with "require"; target counts all payload on the CMB path, and QEMU's trace sees each data pointer there."""

import re

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64), Ssd(cmb_mib=64)], trace=["pci_nvme_map_addr", "pci_nvme_map_addr_cmb"])
MIB = 1 << 20
HEALTH_BYTES = 512  # of log page 02h, which the target asks the SSDs for now and then


def test(lab):
    namespaces = [{"block": lab.target.ssd(0), "p2p": "require"}, {"nvme": lab.target.generic(1), "p2p": "require"}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    devices = initiator.wait_for_namespaces(lab.host, controller, len(namespaces))
    lab.host.run("udevadm settle 2>/dev/null; sleep 0.5")  # whoever looks for partitions is done

    for nsid, device in enumerate(devices, start=1):
        for direction, bs, path in (("read", "4k", "cmb"), ("read", "128k", "cmb"), ("write", "128k", "cmb"), ("write", "8k", "cmb"), ("write", "4k", "in_capsule")):
            moves(lab, target, nsid, device, direction, bs, path)


def moves(lab, target, nsid, device, direction, bs, path):
    """The host moves 4 MiB; all of it goes by this path and by no other."""
    before = target.namespace(nsid)
    lab.target.trace.mark()
    fio.run(lab.host, device, f"--rw=rand{direction} --bs={bs} --iodepth=8 --size=4M")
    after = target.namespace(nsid)
    what = f"{direction}s of {bs} of namespace {nsid}"

    moved = {way: after[f"{direction}s"][way]["bytes"] - before[f"{direction}s"][way]["bytes"] for way in ("cmb", "dram", "in_capsule")}
    lab.check(moved == {"cmb": 0, "dram": 0, "in_capsule": 0, path: 4 * MIB}, f"{what} were counted as {moved}")
    lab.check(after["fallbacks"] == before["fallbacks"], f"{what} fell back: {after['fallbacks']}")
    lab.check(after["errors"] == before["errors"], f"{what}: errors")

    seen, in_cmb = (mapped_bytes(lab.target.trace.lines(event)) for event in ("pci_nvme_map_addr", "pci_nvme_map_addr_cmb"))
    wanted = 4 * MIB if path == "cmb" else 0
    lab.check(in_cmb == wanted, f"{what}: the SSD resolved {in_cmb} bytes into its CMB, not {wanted}")
    lab.check(seen == 4 * MIB, f"{what}: the SSD resolved {seen} bytes in all, not {4 * MIB}")


def mapped_bytes(lines):
    """Without the SSDs' health: no piece of the host's data is as short."""
    lengths = (int(re.search(r"len (\d+)", line)[1]) for line in lines)
    return sum(length for length in lengths if length != HEALTH_BYTES)
