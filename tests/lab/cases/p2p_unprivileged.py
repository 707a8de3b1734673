"""The daemon has no capability, as under its systemd unit: the SSD still takes part in the self-test of its CMB, in both directions, and data goes through it."""

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
NOBODY = "prlimit --memlock=unlimited:unlimited setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"


def test(lab):
    lab.target.run("chmod 666 /dev/ng* /dev/nvme*n* /dev/infiniband/* /sys/bus/pci/devices/*/p2pmem/allocate")
    lab.target.run("mkdir -p /run/nvmf-p2p /var/lib/nvmf-p2p && chmod 777 /run/nvmf-p2p /var/lib/nvmf-p2p")
    config = daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}])
    target = daemon.start(lab, config, program=f"{NOBODY} {daemon.stage(lab)}")
    lab.check(f"CMB of {lab.target.pci_address()} with rxe0: host reads: only" in target.output, f"there was no self-test:\n{target.output}")
    for silent in ("cannot compare", "takes part in the self-test", "could not take part"):
        lab.check(silent not in target.output, f"the SSD did not take part:\n{target.output}")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    fio.verify(lab.host, device, bs="64k", size_mib=4)
    served = target.namespace()
    lab.check(min(served[direction]["cmb"]["commands"] for direction in ("reads", "writes")) > 0, f"the CMB is not used: {served}")
    initiator.disconnect(lab.host, daemon.NQN)
