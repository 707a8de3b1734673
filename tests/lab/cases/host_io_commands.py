"""Host sends Compare, Verify, Copy and Write Uncorrectable with nvme-cli to every backend, of 512 and of 4096 bytes a block; target answers by the blocks' content, and refuses an SSD formatted with protection information."""

from nvmf_lab import One, Ssd, daemon, initiator

PROTECTED = [
    "-blockdev", "driver=null-co,node-name=protected,size=67108864,read-zeroes=on",
    "-device", "nvme,id=protected,serial=protected",
    "-device", "nvme-ns,drive=protected,bus=protected,ms=8,pi=1",
]  # fmt: skip
TOPOLOGY = One(ssds=[Ssd(), Ssd(), Ssd(block_bytes=4096, cmb_mib=16)], qemu_args=PROTECTED)
TIME_LIMIT_S = 240

DATA = "/tmp/data"
BLOCKS = 16
# Write Uncorrectable among them, which no backend here can do: each namespace answers for itself.
OFFERED = {"compare": 1 << 0, "write uncorrectable": 1 << 1, "dsm": 1 << 2, "write zeroes": 1 << 3, "verify": 1 << 7, "copy": 1 << 8}


def test(lab):
    lab.target.run("truncate -s 64M /tmp/disk /tmp/disk4k")
    protected = lab.target.run("basename $(dirname $(grep -lx 'protected *' /sys/class/nvme/*/serial))").stdout.strip()
    namespaces = [
        {"nvme": lab.target.generic(0), "p2p": "off"},
        {"block": lab.target.ssd(1), "p2p": "off"},
        {"file": "/tmp/disk"},
        {"memory": "64MiB"},
        {"nvme": lab.target.generic(2), "p2p": "prefer"},
        {"file": "/tmp/disk4k", "block_size": 4096},
        {"memory": "64MiB", "block_size": 4096},
        {"nvme": f"/dev/ng{protected.removeprefix('nvme')}n1", "p2p": "off"},
    ]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    target.wait_until_said("bytes of metadata, protection information type 1")
    target.wait_until_said("nvme format DEVICE --lbaf=")

    served = namespaces[:-1]
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    oncs = int(lab.host.run(f"nvme id-ctrl /dev/{controller} | sed -n 's/^oncs *: *//p'").stdout, 16)
    for name, bit in OFFERED.items():
        lab.check(oncs & bit, f"ONCS {oncs:#x} does not have {name}")
    for device in initiator.wait_for_namespaces(lab.host, controller, len(served)):
        block = int(lab.host.run(f"blockdev --getss {device}").stdout)
        compare(lab, device, block)
        copy(lab, device, block)
        refused(lab, device)

    for one in target.stats()["namespaces"]:
        lab.check(one["errors"] > 0, f"namespace {one['nsid']} counted no errors of the commands that failed: {one}")


def compare(lab, device, block):
    size = BLOCKS * block
    lab.host.run(f"head -c {size} /dev/urandom >{DATA}; dd if={DATA} of={device} bs={block} seek=100 oflag=direct status=none")
    sent = f"nvme compare {device} -s 100 -c {BLOCKS - 1} -z {size} -d"
    lab.host.run(f"{sent} {DATA}")
    lab.host.run(f"cp {DATA} {DATA}.other; printf '\\0\\1' | dd of={DATA}.other bs=1 seek={size - 2} conv=notrunc status=none")
    said = lab.host.run(f"{sent} {DATA}.other", check=False)
    lab.check(said.exit_code != 0 and "ompare" in said.stdout + said.stderr, f"{device}: other bytes compare as equal: {said}")
    lab.host.run(f"nvme verify {device} -s 100 -c {BLOCKS - 1}")


def copy(lab, device, block):
    """As one range, then as two in the other order."""
    half = BLOCKS // 2
    lab.host.run(f"nvme copy {device} --sdlba=9000 --slbs=100 --blocks={BLOCKS - 1}")
    lab.host.run(f"nvme copy {device} --sdlba=5000 --slbs={100 + half},100 --blocks={half - 1},{half - 1}")
    read = f"dd if={device} bs={block} count={BLOCKS} iflag=direct status=none"
    lab.host.run(f"{read} skip=9000 | cmp - {DATA}")
    lab.host.run(f"(tail -c {half * block} {DATA}; head -c {half * block} {DATA}) >{DATA}.swapped; {read} skip=5000 | cmp - {DATA}.swapped")
    lab.host.run(f"{read} skip=100 | cmp - {DATA}")


def refused(lab, device):
    for command, status in (
        (f"nvme copy {device} --sdlba=100 --slbs=100 --blocks=7", "0x4187"),
        (f"nvme copy {device} --sdlba=100 --slbs=0xffffffff --blocks=7", "0x4080"),
        (f"nvme verify {device} -s 0xffffffff -c 7", "0x4080"),
        (f"nvme write-uncor {device} -s 100 -c 7", "0x4001"),
    ):
        said = lab.host.run(command, check=False)
        words = said.stdout + said.stderr
        lab.check(said.exit_code != 0 and status.removeprefix("0x4") in words, f"{command}: wanted status {status}, got {words}")
