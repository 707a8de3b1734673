"""Operator asks the doctor on a machine with a PCIe switch: it draws root ports, switch and SSDs where the kernel has them, also as JSON, and the same from the files that it saved."""

import json

from nvmf_lab import One, Ssd, daemon

SWITCH = (
    *("-device", "pcie-root-port,id=rp0,chassis=1,slot=1", "-device", "x3130-upstream,id=up0,bus=rp0"),
    *("-device", "xio3130-downstream,id=dp0,bus=up0,chassis=2,slot=2", "-device", "xio3130-downstream,id=dp1,bus=up0,chassis=3,slot=3"),
    *("-device", "pcie-root-port,id=rp1,chassis=4,slot=4"),
)
TOPOLOGY = One(ssds=[Ssd(cmb_mib=64, bus="dp0"), Ssd(bus="dp1"), Ssd(bus="rp1")], qemu_args=SWITCH)


def test(lab):
    said = daemon.command(lab, "doctor").stdout
    print(said)
    tree = said.split("PCI tree")[1].split("\n\n")[0].splitlines()[1:]
    on_switch, beside_it, alone = (lab.target.pci_address(number) for number in (0, 1, 2))
    lab.check("CMB 64 MiB" in line_of(lab, tree, on_switch), f"the tree does not show the CMB of {on_switch}:\n{said}")
    for ssd, above in ((on_switch, ["switch port", "switch", "root port"]), (beside_it, ["switch port", "switch", "root port"]), (alone, ["root port"])):
        lab.check(bridges_above(tree, tree.index(line_of(lab, tree, ssd))) == above, f"{ssd} is not below {above}:\n{said}")

    report = json.loads(daemon.command(lab, "doctor --json").stdout)
    devices = {device["pci_address"]: [function["pci_address"] for function in device["upward"]] for device in report["pci"]}
    lab.check(devices[on_switch][2:] == devices[beside_it][2:], f"the two SSDs do not share the switch: {devices}")
    lab.check(not set(devices[on_switch]) & set(devices[alone]), f"the SSD on a root port of its own shares a bridge: {devices}")
    daemon.command(lab, "doctor --save /tmp/saved")
    elsewhere = json.loads(daemon.command(lab, "doctor --from /tmp/saved --json").stdout)
    lab.check(elsewhere == report, f"the saved machine is judged in another way: {elsewhere}, not {report}")
    lab.check(report["pairs"][0]["rnic"] == "rxe0", f"no pair with rxe0: {report['pairs']}")


def line_of(lab, tree: list[str], address: str) -> str:
    found = [line for line in tree if f" {address} " in line]
    lab.check(len(found) == 1, f"{address} is not in the tree once: {tree}")
    return found[0]


def bridges_above(tree: list[str], index: int) -> list[str]:
    """What stands above a line of the tree, from the nearest, without addresses."""
    above = []
    column = column_of(tree[index])
    for line in reversed(tree[:index]):
        if "host bridge" not in line and line and column_of(line) < column:
            column = column_of(line)
            above.append(line[column:].split(" ", 1)[1].split(",")[0])
    return above


def column_of(line: str) -> int:
    """Where the PCI address begins."""
    return next((position for position, character in enumerate(line) if character.isalnum()), 0)
