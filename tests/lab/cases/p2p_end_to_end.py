"""Host's memory is a device's, too: blocks go from the target's SSD through its CMB and the wire into the CMB of the host's own SSD, and from there to that SSD; and back. QEMU's traces of both machines show all of the data in the CMBs."""

import re

from nvmf_lab import Machine, Ssd, Two, daemon
from nvmf_lab.story import Story

WITNESS = "pci_nvme_map_addr_cmb"
SSD = Ssd(cmb_mib=64)
TOPOLOGY = Two(ssds=[SSD], trace=[WITNESS], host=Machine(ssds=[SSD], trace=[WITNESS]))
MIB = 4


def test(lab):
    story = Story(lab.out)
    target = daemon.start(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}]))
    program = daemon.stage(lab, "peer_memory_host")
    mine, theirs = (f"head -c {MIB << 20} {guest.ssd()} | sha256sum | cut -d' ' -f1" for guest in (lab.host, lab.target))
    lab.host.run(f"dd if=/dev/urandom of={lab.host.ssd()} bs=1M count={MIB} oflag=direct")
    wanted = lab.host.run(mine).stdout
    story.title(f"{MIB} MiB of random data on the host's SSD")
    story.tell(wanted)

    story.title("the host stores them: its SSD -> its CMB -> wire -> the target's CMB -> the target's SSD")
    copy(lab, story, program, "store")
    lab.check(lab.target.run(theirs).stdout == wanted, "the target's SSD has other data than the host's")
    story.tell(f"the target's SSD has the same data: {wanted}")

    lab.host.run(f"dd if=/dev/zero of={lab.host.ssd()} bs=1M count={MIB} oflag=direct")
    lab.check(lab.host.run(mine).stdout != wanted, "the host's SSD was not wiped")
    story.title("the host's SSD is wiped, and the host fetches them: the same way back")
    copy(lab, story, program, "fetch")
    lab.check(lab.host.run(mine).stdout == wanted, "the host's SSD has other data than it had")
    story.tell(f"the host's SSD has the same data again: {wanted}")

    for direction in ("reads", "writes"):
        moved = {path: target.namespace()[direction][path]["bytes"] for path in ("cmb", "dram", "in_capsule")}
        lab.check(moved == {"cmb": MIB << 20, "dram": 0, "in_capsule": 0}, f"the target counts {moved} bytes of {direction}")
        story.tell(f"the target counts of {direction}: {moved['cmb'] >> 20} MiB through its CMB, 0 through DRAM")


def copy(lab, story, program, direction):
    guests = {"target": lab.target, "host": lab.host}
    for guest in guests.values():
        guest.trace.mark()
    said = lab.host.run(
        f"{program} {direction} {lab.target.address()} {daemon.NQN} {lab.host.pci_address()} {lab.host.ssd()} {MIB}", timeout_s=120
    ).stdout
    story.tell(said)
    for name, guest in guests.items():
        pieces = [int(length) for line in guest.trace.lines(WITNESS) for length in re.findall(r"len (\d+)", line)]
        lab.check(sum(pieces) == MIB << 20, f"QEMU saw {sum(pieces)} bytes of the {name}'s CMB in use, not {MIB << 20}")
        story.tell(f"QEMU of the {name}: its SSD had {sum(pieces) >> 20} MiB of data in the CMB, in {len(pieces)} pieces")
