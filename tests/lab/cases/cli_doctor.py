"""Operator asks the doctor: it lists NICs, SSDs and CMBs, proves each pair, and gives a verdict with a remedy where there is one."""

from nvmf_lab import One, Ssd, daemon

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64), Ssd()])


def test(lab):
    with_cmb, without_cmb = lab.target.pci_address(0), lab.target.pci_address(1)
    found = daemon.command(lab, "doctor", timeout_s=60).stdout
    print(found)
    for text in ("rxe0", with_cmb, without_cmb, "64 MiB"):
        lab.check(text in found, f"doctor does not mention {text}:\n{found}")
