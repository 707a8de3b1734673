"""The lab: one guest serves an SSD with the kernel's own target and reads back over Soft-RoCE what it wrote."""

from nvmf_lab import ONE, fio, initiator, nvmet

TOPOLOGY = ONE


def test(lab):
    kernel_target = nvmet.start(lab.target, device=lab.target.ssd(1))

    device = initiator.connect(lab.host, kernel_target.address, kernel_target.nqn)
    fio.verify(lab.host, device, size_mib=4)

    initiator.disconnect(lab.host, kernel_target.nqn)
    kernel_target.stop()
