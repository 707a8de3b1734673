"""Host verifies, makes a file system on, discards and disconnects from a namespace on a device DAX and one in memory; target sends what the host reads straight out of the memory."""

from nvmf_lab import One, daemon, fio, initiator

# What `memmap` sets aside counts as persistent memory (nd_e820), of a platform that does not say what its flushes are worth.
TOPOLOGY = One(memory_mib=2048, kernel_args="memmap=256M!1G", packages=("ndctl",))
TIME_LIMIT_S = 300

KEPT = "--bs=64k --size=8M --offset=128M"
MODULES = ("nd_e820", "nd_pmem", "dax_pmem", "device_dax")


def test(lab):
    lab.target.modprobe(*MODULES)
    lab.target.run("ndctl create-namespace -f -m devdax -M mem -e namespace0.0", timeout_s=60)
    lab.target.until("[ -c /dev/dax0.0 ]")
    namespaces = [{"dax": "/dev/dax0.0"}, {"memory": "64MiB", "zero_copy": True, "block_size": 4096}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    target.wait_until_said("/dev/dax0.0 (persistent memory; the platform does not say")
    said = daemon.command(lab, "namespaces --json").stdout
    lab.check(said.count("straight out of the namespace's memory") == len(namespaces), f"`namespaces` does not say how data goes:\n{said}")

    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    for device in initiator.wait_for_namespaces(lab.host, controller, len(namespaces)):
        for shape in fio.SHAPES:
            if shape.block_bytes % int(lab.host.run(f"blockdev --getss {device}").stdout) == 0:
                fio.verify_all(lab.host, [device], shape)
        use_file_system(lab, device)
        lab.host.run(f"blkdiscard {device} && blkdiscard -z -l 16M {device} && cmp -n 16777216 {device} /dev/zero", timeout_s=90)

    disconnect_in_the_middle(lab, target)
    for one in target.stats()["namespaces"]:
        lab.check(one["errors"] == 0, f"namespace {one['nsid']} counted errors: {one}")
        lab.check(one["reads"]["direct"]["bytes"] > 16 << 20, f"reads did not go straight out of the memory: {one}")
        lab.check(one["reads"]["dram"]["commands"] == 0, f"reads were copied: {one}")


def use_file_system(lab, device):
    lab.host.modprobe("ext4")
    lab.host.run(f"mkfs.ext4 -q {device} && mkdir -p /tmp/disk && mount {device} /tmp/disk && cp -r /usr/include/rdma /tmp/disk", timeout_s=90)
    lab.host.run(f"umount /tmp/disk && fsck.ext4 -f -n {device} && mount {device} /tmp/disk", timeout_s=90)
    lab.host.run("diff -r /usr/include/rdma /tmp/disk/rdma && umount /tmp/disk", timeout_s=90)


def disconnect_in_the_middle(lab, target):
    """Commands break off; what was answered before stays, in persistent memory also for the next daemon."""
    controller = next(iter(initiator.controllers(lab.host, daemon.NQN)))
    device = initiator.block_devices(lab.host, controller)[0]
    fio.run(lab.host, device, f"--rw=write {KEPT} --verify=crc32c --do_verify=0")
    load = fio.Load(lab.host, device)
    lab.host.until(f"[ $(awk '{{print $1 + $2}}' /sys/block/{device.removeprefix('/dev/')}/inflight) -gt 0 ]")
    initiator.disconnect(lab.host, daemon.NQN)
    lab.host.until("! pgrep -x fio", timeout_s=60)
    lab.check(not load.running(), f"fio goes on without its device: {load.story()}")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    fio.run(lab.host, device, f"--rw=read {KEPT} --verify=crc32c")
    initiator.disconnect(lab.host, daemon.NQN)
