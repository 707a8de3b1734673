"""Host resets the subsystem by NSSR: refused unless the operator has allowed it; then both hosts lose their controllers, and come back."""

import re
import time

from nvmf_lab import TWO, daemon, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 180
RECONNECT_WAIT_S = 40
RESET_OCCURRED = 1 << 4


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}]))
    controllers = {guest: connect(lab, guest) for guest in (lab.host, lab.target)}
    refused = lab.host.run(f"nvme subsystem-reset /dev/{controllers[lab.host]}", check=False)
    lab.check(refused.exit_code != 0, f"a reset that nobody has allowed is carried out: {refused.stdout}")
    for guest in controllers:
        initiator.disconnect(guest, daemon.NQN)

    allowed = daemon.config(lab, [{"memory": "16MiB"}])
    allowed["subsystems"][0]["subsystem_reset"] = True
    lab.check("reloaded" in target.reload(allowed), "the new key is not taken")
    controllers = {guest: connect(lab, guest) for guest in (lab.host, lab.target)}
    lab.host.run(f"nvme subsystem-reset /dev/{controllers[lab.host]}", timeout_s=60)
    target.wait_until_said("NVM Subsystem Reset of " + daemon.NQN)
    for guest, controller in controllers.items():
        wait_until_live(lab, guest, controller)
        device = initiator.wait_for_namespaces(guest, controller)[0]
        guest.run(f"dd if={device} of=/dev/null bs=4k count=1 iflag=direct")
        lab.check(controller_status(guest, controller) & RESET_OCCURRED, f"{guest.name} is not told of the reset")


def connect(lab, guest):
    return initiator.connect_controller(guest, lab.target.address(), daemon.NQN, options="--reconnect-delay=1 -i 1")


def controller_status(guest, controller):
    """CSTS, as the target has it."""
    said = guest.run(f"nvme get-property /dev/{controller} --offset=0x1c").stdout
    return int(re.search(r"value: *(?:0x)?([0-9a-f]+)", said)[1], 16)


def wait_until_live(lab, guest, controller):
    deadline = time.monotonic() + RECONNECT_WAIT_S * guest.patience
    while guest.read(f"/sys/class/nvme/{controller}/state").strip() != "live":
        lab.check(time.monotonic() < deadline, f"{guest.name} does not reconnect")
        time.sleep(0.2)
