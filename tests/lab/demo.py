"""The main job: a host discovers, connects, writes and reads an SSD over RDMA, through the SSD's CMB."""

import json

from nvmf_lab import Ssd, Two, daemon, fio, initiator
from nvmf_lab.story import Story

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], trace=["pci_nvme_map_addr_cmb", "pci_nvme_read", "pci_nvme_write"])
TIME_LIMIT_S = 300


def test(lab):
    story = Story(lab.out)
    story.title("the target: what its machine can do (nvmf-p2p doctor)")
    story.tell(daemon.command(lab, "doctor").stdout)

    story.title("the target: nvmf-p2p run")
    config = daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}])
    story.tell(json.dumps(config, indent=2))
    target = daemon.start(lab, config)
    story.tell(target.output)

    def on_host(command):
        story.tell(f"host$ {command}\n{lab.host.run(command, timeout_s=120).stdout}")

    story.title("the host: nvme-cli and its kernel's nvme-rdma driver")
    lab.host.modprobe("nvme-rdma")
    on_host(f"nvme discover -t rdma -a {lab.target.address()} -s 4420")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    on_host("nvme list")
    on_host("nvme list-subsys")

    story.title("the host: a file system, and 32 MiB of random writes and reads, every block checked")
    on_host(f"mkfs.ext4 -q {device} && mount {device} /mnt && cp -r /usr/include/linux /mnt && umount /mnt && "
            f"fsck.ext4 -fn {device} && mount {device} /mnt && diff -r /usr/include/linux /mnt/linux && umount /mnt && "
            "echo 'the file system is clean, the tree is the same'")
    for size in ("4k", "128k"):
        fio.verify(lab.host, device, bs=size, iodepth=8, size_mib=16)
        story.tell(f"fio: 16 MiB in blocks of {size}: written at random, read back, crc32c right")

    story.title("what moved by which data path, as the target counts it")
    story.tell(paths(target.namespace()))
    story.title("and what an observer outside the machine saw: QEMU's trace of the emulated SSD")
    counts = lab.target.trace.counts()
    story.tell(f"data pointers resolved into the CMB: {counts['pci_nvme_map_addr_cmb']} pages "
               f"(commands: {counts['pci_nvme_read']} reads, {counts['pci_nvme_write']} writes)")
    initiator.disconnect(lab.host, daemon.NQN)


def paths(namespace):
    lines = [f"{'':10}{'through the CMB':>22}{'through DRAM':>22}{'in the capsule':>22}"]
    for direction in ("reads", "writes"):
        cells = [namespace[direction][path] for path in ("cmb", "dram", "in_capsule")]
        lines.append(f"{direction:10}" + "".join(f"{cell['bytes'] / 2**20:10.1f} MiB/{cell['commands']:6} " for cell in cells))
    return "\n".join(lines)
