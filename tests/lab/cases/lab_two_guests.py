"""The lab: a host discovers the kernel's own target in another guest, connects, reads back what it wrote, and disconnects."""

from nvmf_lab import TWO, fio, initiator, nvmet

TOPOLOGY = TWO


def test(lab):
    kernel_target = nvmet.start(lab.target, device=lab.target.ssd(1))

    found = initiator.discover(lab.host, lab.target.address())
    lab.check(kernel_target.nqn in [record["subnqn"] for record in found], f"the discovery log does not name {kernel_target.nqn}: {found}")

    device = initiator.connect(lab.host, lab.target.address(), kernel_target.nqn)
    fio.verify(lab.host, device, size_mib=4)
    fio.verify(lab.host, device, bs="128k", size_mib=8)

    initiator.disconnect(lab.host, kernel_target.nqn)
    lab.check(not initiator.controllers(lab.host, kernel_target.nqn), "the host still has a controller after disconnecting")
