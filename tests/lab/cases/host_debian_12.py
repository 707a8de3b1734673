"""Host with Debian 12's stock kernel discovers, connects, verifies, follows a change, reserves and disconnects; target runs on the newest."""

import json

from nvmf_lab import Machine, Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], host=Machine(kernel="bookworm"))
TIME_LIMIT_S = 240

KEY = 0xd12
WRITE_EXCLUSIVE = 1


def test(lab):
    release = lab.host.run("uname -r").stdout.strip()
    lab.check(release.startswith("6.1."), f"the host runs Linux {release}, not Debian 12's 6.1")
    ssd, memory = {"nvme": lab.target.generic(), "p2p": "prefer"}, {"memory": "32MiB"}
    target = daemon.start(lab, daemon.config(lab, [ssd, memory]))

    found = initiator.discover(lab.host, lab.target.address())
    lab.check(daemon.NQN in [entry["subnqn"] for entry in found], f"discovery shows {found}")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    devices = initiator.wait_for_namespaces(lab.host, controller, 2)
    for shape in (fio.Shape(512, 16, 512), fio.Shape(4096, 16, 512), fio.Shape(128 << 10, 4, 32)):
        fio.verify_all(lab.host, devices, shape)
    moved = target.namespace(1)
    lab.check(moved["reads"]["cmb"]["bytes"] > 0 and moved["writes"]["cmb"]["bytes"] > 0, f"nothing went through the CMB: {moved}")

    target.reload(daemon.config(lab, [ssd, memory, {"memory": "16MiB"}]))
    third = initiator.wait_for_namespaces(lab.host, controller, 3)[2]
    reserve(lab, third)
    listed = lab.host.run(f"nvme list-ns /dev/{controller}").stdout.splitlines()
    lab.check(len(listed) == 3, f"nvme list-ns shows {listed}")
    initiator.disconnect(lab.host, daemon.NQN)
    target.wait_for_connections(0)
    errors = [target.namespace(nsid)["errors"] for nsid in (1, 2, 3)]
    lab.check(errors == [0, 0, 0], f"commands failed: {errors}")


def reserve(lab, device):
    def nvme(command, options):
        return lab.host.run(f"nvme {command} {device} {options}").stdout

    nvme("resv-register", f"--nrkey={KEY} --rrega=0")
    nvme("resv-acquire", f"--crkey={KEY} --rtype={WRITE_EXCLUSIVE} --racqa=0")
    report = json.loads(nvme("resv-report", "--eds -o json"))
    lab.check(report["rtype"] == WRITE_EXCLUSIVE and [one["rkey"] for one in report["regctlext"]] == [KEY], f"reserved, and reported as {report}")
    lab.host.run(f"dd if=/dev/zero of={device} bs=4k count=1 oflag=direct status=none")
    nvme("resv-release", f"--crkey={KEY} --rtype={WRITE_EXCLUSIVE} --rrela=0")
