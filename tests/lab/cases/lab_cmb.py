"""The lab: an SSD's Controller Memory Buffer is published as peer memory, and QEMU's trace counts each command."""

from nvmf_lab import One, Ssd

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64), Ssd()], trace=["pci_nvme_map_addr_cmb", "pci_nvme_read"], rdma=False)


def test(lab):
    with_cmb, without_cmb = (f"/sys/bus/pci/devices/{lab.target.pci_address(number)}/p2pmem" for number in (0, 1))
    lab.check(int(lab.target.read(f"{with_cmb}/size")) == 64 << 20, "p2pmem/size is not the 64 MiB of the CMB")
    lab.check(lab.target.read(f"{with_cmb}/published").strip() == "1", "the kernel does not publish the CMB")
    lab.target.run(f"test -e {with_cmb}/allocate && test ! -e {without_cmb}")

    lab.target.trace.mark()
    lab.target.run(f"dd if={lab.target.ssd()} of=/dev/null bs=4k count=100 iflag=direct")
    lab.check(lab.target.trace.count("pci_nvme_read") == 100, f"100 reads gave the trace {dict(lab.target.trace.counts())}")
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") == 0, "reads into DRAM touched the CMB")

    lab.target.write("/tmp/read_into_cmb.py", READ_INTO_CMB)
    lab.target.trace.mark()
    lab.target.run(f"python3 /tmp/read_into_cmb.py {with_cmb}/allocate {lab.target.ssd()} 100")
    lab.check(lab.target.trace.count("pci_nvme_map_addr_cmb") == 100, f"100 reads into the CMB gave {dict(lab.target.trace.counts())}")


# A 4 KiB read is one command with one data pointer, and so one line of the trace.
READ_INTO_CMB = """
import mmap, os, sys
allocate, device, count = sys.argv[1:]
cmb = mmap.mmap(os.open(allocate, os.O_RDWR), 4096, mmap.MAP_SHARED)
disk = os.open(device, os.O_RDONLY | os.O_DIRECT)
for number in range(int(count)):
    assert os.preadv(disk, [cmb], number * 4096) == 4096
"""
