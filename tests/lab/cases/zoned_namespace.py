"""Host manages, appends to, verifies and mounts (zonefs, f2fs) zoned namespaces, which it sees as the target's machine does; appends go through the CMB; a zoned disk that is served as a block device is refused with the remedy."""

from nvmf_lab import One, Ssd, Zones, daemon, fio, initiator

ZONES = Zones(size_mib=4, capacity_kib=3072, max_active=16, max_open=12, extension_bytes=64)
# The third is for f2fs, which keeps what it writes at random on a disk without zones.
TOPOLOGY = One(
    ssds=[Ssd(cmb_mib=64, zones=ZONES), Ssd(block_bytes=4096, zones=Zones(size_mib=8)), Ssd(), Ssd(zones=Zones())],
    memory_mib=3072,
    packages=("f2fs-tools",),
    trace=["pci_nvme_write", "pci_nvme_map_addr_cmb"],
)
TIME_LIMIT_S = 400

QUEUE = ("zoned", "nr_zones", "chunk_sectors", "max_open_zones", "max_active_zones")
ZONE_LBAS = (4 << 20) // 512
DATA = "/tmp/data"


def test(lab):
    namespaces = [
        {"nvme": lab.target.generic(0), "p2p": "prefer"},
        {"nvme": lab.target.generic(1), "p2p": "off"},
        {"nvme": lab.target.generic(2), "p2p": "off"},
        {"block": lab.target.ssd(3)},
    ]
    # Nothing in the capsules, so that all data of an append takes the CMB.
    target = daemon.start(lab, daemon.config(lab, namespaces, rdma={"in_capsule_data_bytes": 0}))
    target.wait_until_said(f"{lab.target.ssd(3)}: is a zoned device")
    target.wait_until_said("64 zones of 8192 blocks")
    checked = daemon.command(lab, f"check {target.config_path}", check=False)
    lab.check(f'write "nvme": "{lab.target.generic(3)}"' in checked.stdout + checked.stderr, f"check does not name the remedy: {checked}")

    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    devices = initiator.wait_for_namespaces(lab.host, controller, 3)
    for number, device in enumerate(devices[:2]):
        same(lab, lab.target.ssd(number), device)
    manage(lab, lab.target.ssd(0), devices[0])
    append(lab, target, devices[0])
    for number, device in enumerate(devices[:2]):
        verify(lab, device)
        zonefs(lab, device)
        same(lab, lab.target.ssd(number), device)
    f2fs(lab, zoned=devices[0], plain=devices[2])
    for number, device in enumerate(devices[:2]):
        same(lab, lab.target.ssd(number), device)

    initiator.disconnect(lab.host, daemon.NQN)


def same(lab, there, here):
    """The target's machine and the host see the same zones, with the same limits."""
    for name in QUEUE:
        seen = [lab.target.read(f"/sys/block/{device.split('/')[2]}/queue/{name}").strip() for device in (there, here)]
        lab.check(seen[0] == seen[1], f"queue/{name} of {there} is {seen[0]}, of {here} {seen[1]}")
    lab.host.run(f"blkzone report {there} >/tmp/there; blkzone report {here} >/tmp/here; test -s /tmp/here && diff /tmp/there /tmp/here")


def manage(lab, there, here):
    """Every action on zones; after each, the target's machine sees what the host sees."""
    data = "dd if=/dev/urandom bs=4k count=1 oflag=direct status=none"
    lab.host.run(f"{data} of={here} && {data} of={here} seek={2 * ZONE_LBAS * 512 // 4096}")
    same(lab, there, here)
    for action, zone, state in (("open", 3, "oi"), ("close", 3, "cl"), ("finish", 2, "fu"), ("reset", 2, "em")):
        lab.host.run(f"blkzone {action} -o {zone * ZONE_LBAS} -c 1 {here}")
        same(lab, there, here)
    lab.host.run(f"printf '%064d' 7 >{DATA} && nvme zns set-zone-desc {here} -s {5 * ZONE_LBAS} -d {DATA}")
    for device in (there, here):
        lab.host.run(f"nvme zns report-zones {device} -e -o binary >/tmp/{device.split('/')[2]}")
    lab.host.run(f"cmp /tmp/{there.split('/')[2]} /tmp/{here.split('/')[2]} && grep -aq $(cat {DATA}) /tmp/{here.split('/')[2]}")
    refused = lab.host.run(f"dd if=/dev/zero of={here} bs=4k count=1 oflag=direct seek=8 status=none", check=False)
    lab.check(refused.exit_code != 0, "a write elsewhere than at the write pointer was not refused")
    lab.host.run(f"blkzone reset {here}")
    same(lab, there, here)


def append(lab, target, here):
    """Each append is told where its data is; the data is there, and went through the CMB; up to ZASL through DRAM, for QEMU's SSD takes no longer ones out of a CMB."""
    before = target.namespace()["writes"]["cmb"]["commands"]
    lab.host.run(f"head -c 12288 /dev/urandom >{DATA}; split -b 4096 {DATA} {DATA}.; head -c 131072 /dev/urandom >{DATA}.long")
    lab.target.trace.mark()
    for number, part in enumerate(("aa", "ab", "ac")):
        said = lab.host.run(f"nvme zns zone-append {here} -s {4 * ZONE_LBAS} -z 4096 -d {DATA}.{part}").stdout
        lab.check(f"LBA {4 * ZONE_LBAS + 8 * number:x}" in said, f"append {number} was told another LBA: {said}")
    seen = [line for line in lab.target.trace.lines("pci_nvme_write") if "ZONE_APPEND" in line]
    lab.check(len(seen) == 3 and lab.target.trace.count("pci_nvme_map_addr_cmb") >= 3, f"the SSD did not see three appends out of its CMB: {seen}")
    for blocks in (0, 256):
        said = lab.host.run(f"nvme zns zone-append {here} -s {6 * ZONE_LBAS} -z 131072 -d {DATA}.long").stdout
        lab.check(f"LBA {6 * ZONE_LBAS + blocks:x}" in said, f"a long append was told another LBA: {said}")
        lab.host.run(f"dd if={here} bs=128k skip={(6 * ZONE_LBAS + blocks) * 512 >> 17} count=1 iflag=direct status=none | cmp - {DATA}.long")
    lab.host.run(f"dd if={here} bs=4k skip={4 * ZONE_LBAS * 512 // 4096} count=3 iflag=direct status=none | cmp - {DATA}")
    lab.check(target.namespace()["writes"]["cmb"]["commands"] >= before + 3, f"appends did not go through the CMB: {target.namespace()}")
    lab.host.run(f"blkzone reset {here}")


def verify(lab, device):
    for shape in ("--rw=write --bs=64k --size=24M", "--rw=write --bs=1M --size=24M", "--rw=randwrite --bs=4k --size=24M --io_size=4M"):
        fio.run(lab.host, device, f"--zonemode=zbd --max_open_zones=8 --iodepth=8 {shape} --verify=crc32c --do_verify=1 --verify_fatal=1")
    lab.host.run(f"blkzone reset {device}")


def zonefs(lab, device):
    """A file for each zone."""
    lab.host.modprobe("zonefs")
    lab.host.write("/tmp/mkzonefs.py", MAKE_ZONEFS)
    lab.host.run(f"python3 /tmp/mkzonefs.py /tmp/super && dd if=/tmp/super of={device} bs=4k oflag=direct status=none")
    lab.host.run(f"mkdir -p /tmp/disk && mount -t zonefs {device} /tmp/disk && head -c 2M /dev/urandom >{DATA}")
    lab.host.run(f"dd if={DATA} of=/tmp/disk/seq/7 bs=256k oflag=direct,append conv=notrunc status=none && umount /tmp/disk")
    lab.host.run(f"mount -t zonefs {device} /tmp/disk && cmp {DATA} /tmp/disk/seq/7 && truncate -s 0 /tmp/disk/seq/7 && umount /tmp/disk")
    lab.host.run(f"blkzone reset {device}")


def f2fs(lab, zoned, plain):
    lab.host.modprobe("f2fs")
    lab.host.run(f"mkfs.f2fs -f -m -c {zoned} {plain} >/results/mkfs.f2fs.txt", timeout_s=90)
    use(lab, "f2fs", plain)
    lab.host.run(f"blkzone reset {zoned}")


def use(lab, kind, device):
    lab.host.run(f"mount -t {kind} {device} /tmp/disk && cp -r /usr/include/rdma /tmp/disk && umount /tmp/disk", timeout_s=90)
    lab.host.run(f"mount -t {kind} {device} /tmp/disk && diff -r /usr/include/rdma /tmp/disk/rdma && umount /tmp/disk", timeout_s=90)


# Debian 12 has no mkzonefs: the superblock, by the kernel's fs/zonefs/zonefs.h.
MAKE_ZONEFS = """
import struct, sys, zlib
def superblock(crc):
    return struct.pack("<4sI64s16sQIII", b"SFOZ", crc, b"lab", bytes(range(16)), 0, 0, 0, 0).ljust(4096, bytes(1))
open(sys.argv[1], "wb").write(superblock(zlib.crc32(superblock(0)) ^ 0xffffffff))
"""
