"""Operator drains ports, disconnects, disallows and removes under a host's verified load, on one path and on two: no command fails, no byte is wrong."""

import json
import time

from nvmf_lab import Two, daemon, fio, initiator

TOPOLOGY = Two(links=2)
ALONE = True
TIME_LIMIT_S = 900

STRANGER = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001"
# Long enough that a host that is not allowed for a moment does not ask in that moment.
OPTIONS = "-i 2 -k 5 --reconnect-delay=3 --ctrl-loss-tmo=600"


def test(lab):
    lab.target.run("truncate -s 64M /tmp/disk")
    target = daemon.start(lab, with_ports(lab, 1, 2), listens=2)
    for links in ((0, 1), (0,)):
        paths = [initiator.connect_controller(lab.host, lab.target.address(link), daemon.NQN, options=OPTIONS) for link in links]
        device = initiator.wait_for_namespaces(lab.host, paths[0])[0]
        job = fio.Endless(lab.host, device)
        for number in range(lab.rounds(1, thorough=8)):  # of each way to lose the host
            for lose in (drain, disconnect, disallow, remove_port):
                before = controller_id(lab, paths[0])
                lose(lab, target)
                lab.host.until(f"[ $(cat /sys/class/nvme/{paths[0]}/cntlid) != {before} ]", timeout_s=60)
                wait_until_live(lab, paths)
                lab.check(job.running(), f"round {number}, {lose.__name__}, {len(paths)} paths: a command failed, or a byte was wrong")
        job.finish()
        initiator.disconnect(lab.host, daemon.NQN)


def with_ports(lab, *ports, **subsystem):
    namespaces = [{"file": "/tmp/disk"}]
    shown = [{"id": port, "address": lab.target.address(port - 1)} for port in ports]
    whole = {"nqn": daemon.NQN, "allow_any_host": True, "namespaces": namespaces, **subsystem}
    return daemon.config(lab, [], ports=shown, subsystems=[whole])


def drain(lab, target):
    daemon.command(lab, "drain 1 --wait")
    said = daemon.command(lab, "status").stdout
    lab.check("drained" in said, f"drain --wait has returned, and the port is not drained:\n{said}")
    daemon.command(lab, "resume 1")


def disconnect(lab, target):
    hostnqn = json.loads(daemon.command(lab, "connections --json").stdout)["hosts"][0]["nqn"]
    daemon.command(lab, f"disconnect {hostnqn}")


def disallow(lab, target):
    target.reload(with_ports(lab, 1, 2, allow_any_host=False, allowed_hosts=[STRANGER]))
    target.reload(with_ports(lab, 1, 2))


def remove_port(lab, target):
    target.reload(with_ports(lab, 2))
    time.sleep(0.5)
    target.reload(with_ports(lab, 1, 2))


def controller_id(lab, path):
    """Another one with each new association."""
    return lab.host.read(f"/sys/class/nvme/{path}/cntlid").strip()


def wait_until_live(lab, paths):
    for path in paths:
        lab.host.until(f"grep -qx live /sys/class/nvme/{path}/state", timeout_s=60)
