"""Operator adds an SSD with a CMB by a reload while a host is connected: the CMB is proved beside the host's admin commands, which do not wait for it."""

import json
import re
import signal

from nvmf_lab import One, Ssd, daemon, fio, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)])
TIME_LIMIT_S = 150


def test(lab):
    memory = {"nsid": 1, "memory": "32MiB"}
    target = daemon.start(lab, daemon.config(lab, [memory]))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    initiator.wait_for_namespaces(lab.host, controller, 1)

    with_ssd = daemon.config(lab, [memory, {"nsid": 2, "nvme": lab.target.generic(), "p2p": "require"}])
    lab.target.write(target.config_path, json.dumps(with_ssd))
    target.signal(signal.SIGHUP)
    target.wait_until_said("the self-test of the CMB")
    lab.check(not proved(target), "the self-test was over before it could be watched")
    meanwhile = 0
    while not proved(target):
        lab.host.run(f"nvme id-ctrl /dev/{controller} >/dev/null")
        meanwhile += not proved(target)
    print(f"{meanwhile} commands were answered during the self-test")
    lab.check(meanwhile > 0, "no admin command was answered during the self-test")

    target.wait_until_said("reloaded ")
    device = initiator.wait_for_namespaces(lab.host, controller, 2)[1]
    fio.verify(lab.host, device, size_mib=4)
    served = target.namespace(2)
    lab.check(served["writes"]["cmb"]["commands"] > 0, f"the new SSD's CMB does not serve: {served}")
    initiator.disconnect(lab.host, daemon.NQN)


def proved(target):
    return re.search(r"CMB of \S+ with", target.output) is not None
