"""Operator adds an SSD with a CMB by a reload while a host is connected: the CMB is proved beside the host's admin commands, which do not wait for it."""

import pathlib
import re
import signal
import time

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 150

IDENTIFY = pathlib.Path(__file__).resolve().parent.parent / "inside/identify.py"


def test(lab):
    memory = {"nsid": 1, "memory": "32MiB"}
    target = daemon.start(lab, daemon.config(lab, [memory]))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    initiator.wait_for_namespaces(lab.host, controller, 1)

    commands = lab.host.start(f"exec python3 -I -S {IDENTIFY} /dev/{controller}")
    while not commands.stdout:
        lab.check(commands.running(), f"no admin command is answered: {commands.stderr}")
        time.sleep(0.1)
    with_ssd = daemon.config(lab, [memory, {"nsid": 2, "nvme": lab.target.generic(), "p2p": "require"}])
    said = target.reload(with_ssd)
    commands.stop(number=signal.SIGKILL)
    begin, end = time_of("the self-test of the CMB", said), time_of("CMB of .* with", said)
    meanwhile = [answered for answered in commands.stdout.splitlines() if begin < answered < end]
    print(f"{len(meanwhile)} commands were answered during the self-test, from {begin} to {end}")
    lab.check(meanwhile, f"no admin command was answered during the self-test, from {begin} to {end}")

    device = initiator.wait_for_namespaces(lab.host, controller, 2)[1]
    fio.verify(lab.host, device, size_mib=4)
    served = target.namespace(2)
    lab.check(served["reads"]["cmb"]["commands"] > 0, f"the new SSD's CMB does not serve: {served}")
    initiator.disconnect(lab.host, daemon.NQN)


def time_of(event, said):
    """When the daemon said it. The guest is host and target: its clock is one."""
    return re.search(rf"^(\S+ \S+) \w+: {event}", said, re.MULTILINE)[1]
