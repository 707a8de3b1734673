"""Operator moves from the kernel's target: import kernel reads the running nvmet, the daemon serves the result, the host finds the same disk with the same data."""

import json

from nvmf_lab import ONE, daemon, initiator, nvmet

TOPOLOGY = ONE
NQN = "nqn.2026-01.io.example:moved"
SERIAL = "MOVED1"
CHECKSUM = "dd if={} bs=1M count=16 iflag=direct status=none | sha256sum"


def test(lab):
    disk = lab.target.ssd(1)
    lab.target.run(f"dd if=/dev/urandom of={disk} bs=1M count=16 oflag=direct status=none")
    data = lab.target.run(CHECKSUM.format(disk)).stdout

    kernel = nvmet.start(lab.target, disk, nqn=NQN, attributes={"attr_serial": SERIAL, "attr_model": "Linux"})
    imported = daemon.command(lab, "import kernel", check=False)
    print(imported.stdout, imported.stderr)
    lab.check(imported.exit_code == 0 and "nothing was left out" in imported.stderr, f"import leaves something out of what the kernel serves, or fails:\n{imported.stderr}")
    lab.target.run(f"echo 64 >{nvmet.CONFIGFS}/subsystems/{NQN}/attr_qid_max")
    partly = daemon.command(lab, "import kernel", check=False)
    lab.check(partly.exit_code == 3 and "attr.qid_max" in partly.stderr and partly.stdout == imported.stdout, f"one attribute cannot be carried over: exit status {partly.exit_code}\n{partly.stderr}")
    config = json.loads(imported.stdout)
    lab.check(config["ports"] == [{"id": 1, "address": lab.target.address()}], f"another port than the kernel's:\n{imported.stdout}")
    namespace = config["subsystems"][0]["namespaces"][0]
    lab.check(namespace["block"] == disk and namespace["nsid"] == 1, f"another namespace than the kernel's:\n{imported.stdout}")
    kernel.stop()

    daemon.start(lab, config)
    moved = initiator.connect(lab.host, lab.target.address(), NQN)
    lab.check(lab.host.run(CHECKSUM.format(moved)).stdout == data, "the host reads other data than the kernel's target served")
    serial = lab.host.run(f"cat /sys/block/{moved.removeprefix('/dev/')}/device/serial").stdout.strip()
    lab.check(serial == SERIAL, f"the host sees the serial number {serial}, not the kernel target's {SERIAL}")
    initiator.disconnect(lab.host, NQN)
