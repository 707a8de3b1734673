"""Host discovers, connects, runs admin commands and I/O; a packet capture of it all, dissected by tshark, holds nothing malformed."""

from nvmf_lab import TWO, daemon, initiator
from nvmf_lab.programs import output_of

TOPOLOGY = TWO
TIME_LIMIT_S = 120

# What the dissector must have seen, so that it cannot pass for lack of packets.
KINDS = {
    "connection requests": "infiniband.cm.req",
    "Connect commands": "nvme.fabrics.cmd.connect.qid",
    "admin and I/O commands": "nvme.cmd.cid",
    "completions": "nvme.cqe.status || nvme.fabrics.cqe",
}


def test(lab):
    daemon.start(lab, daemon.config(lab, [{"nvme": lab.target.generic(0), "p2p": "prefer"}]))
    capture = lab.host.start("exec tcpdump -i eth0 -s 0 -U -w /results/wire.pcap udp port 4791")
    lab.host.until("[ -s /results/wire.pcap ]")

    initiator.discover(lab.host, lab.target.address())
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, options="-i 1")
    controller = device.removesuffix("n1")
    for command in (f"id-ctrl {controller}", f"id-ns {device}", f"error-log {controller}", f"get-feature {controller} -f 0x0f", f"smart-log {controller}"):
        lab.host.run(f"nvme {command}")
    for options in ("bs=512 count=1", "bs=4k count=4", "bs=128k count=2"):
        lab.host.run(f"dd if=/dev/urandom of={device} {options} oflag=direct status=none; dd if={device} of=/dev/null {options} iflag=direct status=none")
    lab.host.run(f"blkdiscard -l 65536 {device}; nvme flush {device}")
    initiator.disconnect(lab.host, daemon.NQN)
    capture.stop()

    captured = str(lab.host.result_file("wire.pcap"))
    malformed = packets(captured, "_ws.malformed")
    lab.check(not malformed, f"tshark finds malformed packets in {captured}: {malformed[:10]}")
    for what, filtered in KINDS.items():
        found = packets(captured, filtered)
        print(f"{what}: {len(found)} packets")
        lab.check(found, f"tshark finds no {what} in {captured}: was the traffic captured and understood?")


def packets(captured: str, filtered: str) -> list[str]:
    return output_of("tshark", "-n", "-r", captured, "-Y", filtered).splitlines()
