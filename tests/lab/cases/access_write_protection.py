"""Host protects a namespace with nvme-cli: writes fail and its kernel knows, also after the daemon was killed; it makes it writable again; until the next start, nobody can."""

import json

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 150

NONE, PROTECTED, UNTIL_POWER_CYCLE = 0, 1, 2


def test(lab):
    lab.target.run("truncate -s 16M /run/disk.img")
    config = daemon.config(lab, [{"file": "/run/disk.img"}])
    first = daemon.start(lab, config)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="--reconnect-delay=1 --ctrl-loss-tmo=600")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    nwpc = json.loads(lab.host.run(f"nvme id-ctrl /dev/{controller} -o json").stdout)["nwpc"]
    lab.check(nwpc == 3, f"NWPC is {nwpc}, which are not the states that need no permission")

    protect(lab, controller, PROTECTED)
    check_protected(lab, device)
    first.kill()
    again = daemon.start(lab, config, name="again")
    wait_until_live(lab, controller)
    check_protected(lab, device)

    protect(lab, controller, NONE)
    check_writable(lab, device)

    protect(lab, controller, UNTIL_POWER_CYCLE)
    check_protected(lab, device)
    refused = protect(lab, controller, NONE, check=False)
    said = (refused.stdout + refused.stderr).lower().replace("_", " ")
    lab.check(refused.exit_code != 0 and "not changeable" in said, f"a state that lasts until the power cycle was left: {said}")
    again.kill()
    daemon.start(lab, config, name="third")
    wait_until_live(lab, controller)
    check_writable(lab, device)
    initiator.disconnect(lab.host, daemon.NQN)


def protect(lab, controller, state, check=True):
    return lab.host.run(f"nvme set-feature /dev/{controller} --namespace-id=1 --feature-id=0x84 --value={state}", check=check)


def check_protected(lab, device):
    lab.host.until(f"[ $(blockdev --getro {device}) = 1 ]")
    refused = lab.host.run(f"nvme write {device} -z 512 -c 0 -d /dev/zero --namespace-id=1", check=False)
    said = (refused.stdout + refused.stderr).upper().replace(" ", "_")
    lab.check(refused.exit_code != 0 and "WRITE_PROTECTED" in said, f"a write got: {said}")
    lab.host.run(f"dd if={device} of=/dev/null bs=64k count=4 iflag=direct status=none")


def check_writable(lab, device):
    lab.host.until(f"[ $(blockdev --getro {device}) = 0 ]")
    lab.host.run(f"dd if=/dev/zero of={device} bs=64k count=4 oflag=direct status=none")


def wait_until_live(lab, controller):
    lab.host.until(f"grep -q live /sys/class/nvme/{controller}/state")
