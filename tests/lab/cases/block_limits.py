"""Host sees the limits of the block device behind the target as its own, in `queue/` and in Identify; discards reach a thin volume; zoned devices are refused; one device is in two subsystems; a device that grew is noticed without a reload."""

import json
import time

from nvmf_lab import One, daemon, initiator

TOPOLOGY = One()
TIME_LIMIT_S = 150

OTHER = "nqn.2026-01.io.example:other"
FILE = "/srv/disk"
SECTOR = 512
MIB = 1 << 20
# 512-byte blocks on physical ones of 4096, an optimal size of 512 KiB, and UNMAP in units of 64 KiB.
SCSI_DEBUG = "dev_size_mb=64 sector_size=512 physblk_exp=3 opt_xferlen_exp=3 opt_blks=1024 lbpu=1 unmap_granularity=128"
THIN_BLOCK_SECTORS = 128
THIN_SECTORS = 32 * MIB // SECTOR
# What hosts take from Identify; `discard_granularity` Linux takes only lately.
QUEUE = ("logical_block_size", "physical_block_size", "minimum_io_size", "optimal_io_size", "rotational")
WRITE_ZEROES_BYTES = 32 * MIB


def test(lab):
    disk, thin, zoned = scsi_debug(lab), thin_volume(lab), zoned_null_block(lab)
    lab.target.run(f"mkdir -p /srv; truncate -s 16M {FILE}")
    config = daemon.config(lab, [{"block": disk}, {"block": thin}, {"file": FILE}, {"block": zoned}])
    config["subsystems"].append({"nqn": OTHER, "allow_any_host": True, "namespaces": [{"block": disk}]})
    target = daemon.start(lab, config)
    lab.check(f"{zoned}: is a zoned device" in target.output, "the zoned device is not refused, or not with the reason")
    lab.check("another program uses it" not in target.output, "one device in two subsystems is served in one only")

    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    devices = initiator.wait_for_namespaces(lab.host, controller, 3)
    lab.check(len(devices) == 3, f"the host sees {devices}")
    for there, here in ((disk, devices[0]), (thin, devices[1])):
        same_limits(lab, there, here)
    discarded(lab, thin, devices[1])
    shared(lab, devices[0])
    grown(lab, target, devices[2])
    initiator.disconnect(lab.host, daemon.NQN)


def scsi_debug(lab):
    lab.target.run("modprobe sd_mod")
    lab.target.run(f"modprobe scsi_debug {SCSI_DEBUG}")
    found = lab.target.until("ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block | grep .").stdout
    return f"/dev/{found.split()[0]}"


def thin_volume(lab):
    """A volume of a pool on two RAM disks: it discards, and has no command for writing zeroes."""
    lab.target.run("modprobe brd rd_nr=2 rd_size=65536; modprobe dm-thin-pool")
    create = "dmsetup create --noudevrules --noudevsync"
    lab.target.run(f"{create} pool --table '0 131072 thin-pool /dev/ram0 /dev/ram1 {THIN_BLOCK_SECTORS} 0'")
    lab.target.run("dmsetup message pool 0 'create_thin 0'")
    lab.target.run(f"{create} thin --table '0 {THIN_SECTORS} thin {node(lab, 'pool')} 0'")
    thin = node(lab, "thin")
    lab.check(limit(lab.target, thin, "discard_max_bytes") > 0, "the thin volume cannot discard")
    lab.check(limit(lab.target, thin, "write_zeroes_max_bytes") == 0, "the thin volume writes zeroes: it shows nothing")
    return thin


def node(lab, name):
    return "/dev/dm-" + lab.target.run(f"dmsetup info -c --noheadings -o minor {name}").stdout.strip()


def zoned_null_block(lab):
    lab.target.run("modprobe null_blk nr_devices=1 gb=1 zoned=1 zone_size=16")
    return "/dev/nullb0"


def limit(guest, device, name):
    return int(guest.read(f"/sys/block/{device.split('/')[2]}/queue/{name}"))


def same_limits(lab, there, here):
    for name in QUEUE:
        wanted, seen = limit(lab.target, there, name), limit(lab.host, here, name)
        lab.check(seen == wanted, f"{name} of {there} is {wanted}, the host's {here} has {seen}")
    space = json.loads(lab.host.run(f"nvme id-ns {here} -o json").stdout)
    granularity = limit(lab.target, there, "discard_granularity")
    lab.check((space["npdg"] + 1) * SECTOR == granularity, f"NPDG is {space['npdg']}, not {granularity} bytes")
    lab.check(space["npda"] == space["npdg"], f"NPDA is {space['npda']}, NPDG {space['npdg']}")
    zeroes = limit(lab.host, here, "write_zeroes_max_bytes")
    lab.check(zeroes == WRITE_ZEROES_BYTES, f"the host writes at most {zeroes} bytes of zeroes at once")


def discarded(lab, thin, device):
    lab.host.run(f"dd if=/dev/zero of={device} bs=1M count=8 oflag=direct")
    lab.check(mapped_sectors(lab) == 8 * MIB // SECTOR, f"the thin volume has {mapped_sectors(lab)} sectors")
    lab.host.run(f"blkdiscard -o {MIB} -l {4 * MIB} {device}")
    lab.check(mapped_sectors(lab) == 4 * MIB // SECTOR, f"after a discard {thin} has {mapped_sectors(lab)} sectors")


def mapped_sectors(lab):
    """«0 65536 thin 16384 16383»"""
    return int(lab.target.run("dmsetup status thin").stdout.split()[3])


def shared(lab, device):
    """The same disk through the other subsystem."""
    other = initiator.connect(lab.host, lab.target.address(), OTHER, options="-i 1")
    lab.host.run(f"echo written through {device} | dd of={device} bs=512 conv=sync oflag=direct")
    said = lab.host.run(f"dd if={other} bs=512 count=1 iflag=direct").stdout
    lab.check(f"written through {device}" in said, f"the other subsystem has other data: {said[:60]!r}")
    initiator.disconnect(lab.host, OTHER)


def grown(lab, target, device):
    lab.target.run(f"truncate -s 24M {FILE}")
    target.wait_until_said("has 49152 blocks now, it had 32768 before")
    begin = time.monotonic()
    lab.host.until(f"[ $(cat /sys/block/{device.split('/')[2]}/size) = 49152 ]")
    print(f"the host saw the new size {time.monotonic() - begin:.1f} s after the target")
