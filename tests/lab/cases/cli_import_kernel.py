"""Operator moves from the kernel's target: import kernel reads the running nvmet, the daemon serves the result, the host finds the same disk with the same data. So with keys of hosts: the same commands of the host are refused, and let in, by both targets."""

import json

from nvmf_lab import ONE, daemon, initiator, nvmet

TOPOLOGY = ONE
NQN = "nqn.2026-01.io.example:moved"
KEYED = "nqn.2026-01.io.example:keyed"
HOST = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
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

    target = daemon.start(lab, config)
    moved = initiator.connect(lab.host, lab.target.address(), NQN)
    lab.check(lab.host.run(CHECKSUM.format(moved)).stdout == data, "the host reads other data than the kernel's target served")
    serial = lab.host.run(f"cat /sys/block/{moved.removeprefix('/dev/')}/device/serial").stdout.strip()
    lab.check(serial == SERIAL, f"the host sees the serial number {serial}, not the kernel target's {SERIAL}")
    initiator.disconnect(lab.host, NQN)
    target.stop()
    with_keys(lab, disk, data)


def with_keys(lab, disk, data):
    """What the kernel's target does with each command is the reference for the daemon that serves the imported config."""
    host_key, controller_key, stranger = (
        lab.host.run(f"nvme gen-dhchap-key --hmac={hmac} --nqn={HOST}").stdout.strip() for hmac in (1, 3, 0)
    )
    mutual = f"--dhchap-secret='{host_key}' --dhchap-ctrl-secret='{controller_key}'"
    commands = {
        "no key": ("", False),
        "a wrong key": (f"--dhchap-secret='{stranger}'", False),
        "a wrong controller key": (f"--dhchap-secret='{host_key}' --dhchap-ctrl-secret='{stranger}'", False),
        "its key": (f"--dhchap-secret='{host_key}'", True),
        "both keys": (mutual, True),
    }
    attributes = {"dhchap_key": host_key, "dhchap_ctrl_key": controller_key, "dhchap_hash": "hmac(sha384)", "dhchap_dhgroup": "ffdhe2048"}
    kernel = nvmet.start(lab.target, disk, nqn=KEYED, hosts={HOST: attributes})
    # After a wrong key of either side the host does not come back from the kernel's target for minutes.
    for name in ("no key", "its key", "both keys"):
        secrets, good = commands[name]
        lab.check(is_let_in(lab, secrets, data) == good, f"the kernel's target does otherwise with {name}")
    lab.target.run("rm -rf /tmp/imported; mkdir -m 700 /tmp/imported")
    imported = daemon.command(lab, "import kernel --keys /tmp/imported", check=False)
    print(imported.stdout, imported.stderr)
    lab.check(imported.exit_code in (0, 3), f"import fails:\n{imported.stderr}")
    config = json.loads(imported.stdout)
    host = config["subsystems"][0]["hosts"][0]
    lab.check(host["nqn"] == HOST and (host["dhchap_hash"], host["dhchap_group"]) == ("sha384", "ffdhe2048"), f"another host than the kernel's:\n{imported.stdout}")
    lab.check(host_key not in imported.stdout and lab.target.run(f"cat {host['key_file']}").stdout.strip() == host_key, "the key is not where the config says")
    kernel.stop()

    daemon.start(lab, config, name="nvmf-p2p-keys")
    for name, (secrets, good) in commands.items():
        lab.check(is_let_in(lab, secrets, data) == good, f"a host with {name} is {'refused' if good else 'let in'}")


def is_let_in(lab, secrets, data):
    """Whether `nvme connect` with these secrets succeeds, and the disk has the right data."""
    options = f"--hostnqn={HOST} --hostid={HOST.split(':')[-1]} -i 1 {secrets}"
    done = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {KEYED} -o json {options}", check=False)
    if done.exit_code != 0:
        return False
    device = initiator.wait_for_namespaces(lab.host, next(iter(initiator.controllers(lab.host, KEYED))))[0]
    lab.check(lab.host.run(CHECKSUM.format(device)).stdout == data, "the host reads other data than the disk has")
    initiator.disconnect(lab.host, KEYED)
    return True
