"""Operator asks the doctor: it lists NICs, SSDs and CMBs, gives each pair's verdict with its remedy, and proves a pair when asked."""

from nvmf_lab import ONE, daemon

TOPOLOGY = ONE


def test(lab):
    # The kernel numbers them in the order in which they answered.
    with_cmb, without_cmb = (lab.target.ssd(number).removeprefix("/dev/").removesuffix("n1") for number in (0, 1))
    hopeless = [f"{without_cmb} with rxe0: no", f"{without_cmb} has no controller memory buffer"]

    said = doctor(lab)
    for text in ("rxe0", lab.target.pci_address(0), lab.target.pci_address(1), "CMB 64 MiB"):
        lab.check(text in said, f"doctor does not mention {text}:\n{said}")
    expect(lab, said, f"{with_cmb} with rxe0: should work")
    expect(lab, said, *hopeless)

    proved = doctor(lab, "--self-test")
    expect(lab, proved, f"{with_cmb} with rxe0: works", "only transfers that start on a page boundary")
    expect(lab, proved, *hopeless)

    lab.target.run("ip link set dev eth0 mtu 1500")
    refused = doctor(lab)
    expect(lab, refused, f"{with_cmb} with rxe0: no", "Soft-RoCE puts bytes into wrong places", "-> ip link set dev eth0 mtu 9000")
    lab.target.run("ip link set dev eth0 mtu 9000")


def doctor(lab, options: str = "") -> str:
    said = daemon.command(lab, f"doctor {options}", timeout_s=60).stdout
    print(said)
    return said


def expect(lab, said: str, verdict: str, *texts: str) -> None:
    """The paragraph of a pair starts with the verdict and holds the texts."""
    pairs = said.split("Peer-to-peer between SSD and RNIC\n")[1].split("\n  nvme")
    paragraphs = [" ".join(pair.split()) for pair in pairs]
    found = [paragraph for paragraph in paragraphs if paragraph.removeprefix("nvme").startswith(verdict.removeprefix("nvme"))]
    lab.check(len(found) == 1 and all(text in found[0] for text in texts), f"doctor does not say {verdict!r} with {texts}:\n{said}")
