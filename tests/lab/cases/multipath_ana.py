"""Host reaches one namespace over two ports while their ANA states change and a link fails; its I/O goes on without an error, and sysfs shows each state."""

import json
import time

from nvmf_lab import Two, daemon, fio, initiator

TOPOLOGY = Two(links=2)
TIME_LIMIT_S = 180

GROUP = 2
MOVES_WAIT_S = 10
SET_ANA = f"curl -sSf --unix-socket {daemon.ADMIN_SOCKET} http://localhost/v1/ana -d"


def test(lab):
    ports = [{"id": link + 1, "address": lab.target.address(link)} for link in (0, 1)]
    subsystem = {
        "nqn": daemon.NQN,
        "allow_any_host": True,
        "ana": [{"group": GROUP, "port": 2, "state": "non-optimized"}],
        "namespaces": [{"memory": "64MiB", "ana_group": GROUP}],
    }
    target = daemon.start(lab, daemon.config(lab, [], ports=ports, subsystems=[subsystem]), listens=2)
    options = "-k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
    ways = [initiator.connect_controller(lab.host, port["address"], daemon.NQN, options=options) for port in ports]
    devices = [initiator.wait_for_namespaces(lab.host, way)[0] for way in ways]
    lab.check(devices[0] == devices[1], f"the host did not join the two ways: {devices}")
    wait_for_states(lab, ways, "optimized", "non-optimized")
    shown = lab.host.run(f"nvme list-subsys {devices[0]}").stdout
    lab.check("optimized" in shown and "non-optimized" in shown, f"nvme list-subsys shows no ANA states:\n{shown}")
    lab.check([one["state"] for one in target.stats()["subsystems"][0]["ana"]] == ["optimized", "non-optimized"], "GET /v1/stats shows other states")

    job = fio.Endless(lab.host, devices[0])
    moves(lab, target, "the first way is optimized")
    set_state(lab, 1, "inaccessible")
    wait_for_states(lab, ways, "inaccessible", "non-optimized")
    moves(lab, target, "the first way is inaccessible")
    set_state(lab, 1, "change")
    wait_for_states(lab, ways, "change", "non-optimized")
    set_state(lab, 1, "optimized")
    wait_for_states(lab, ways, "optimized", "non-optimized")
    set_state(lab, 2, "persistent-loss")
    wait_for_states(lab, ways, "optimized", "persistent-loss")
    set_state(lab, 2, "optimized")
    wait_for_states(lab, ways, "optimized", "optimized")

    moved_to_another_group(lab, target, subsystem, ports, ways)

    lab.host.set_link(up=False, link=0)
    lab.host.until(f"! grep -q live /sys/class/nvme/{ways[0]}/state")
    moves(lab, target, "the first link is down")
    lab.host.set_link(up=True, link=0)
    lab.host.until(f"grep -q live /sys/class/nvme/{ways[0]}/state", timeout_s=60)
    wait_for_states(lab, ways, "optimized", "optimized")

    refused = lab.target.run(f"""{SET_ANA} '{{"subsystem": "{daemon.NQN}", "group": 1, "port": 9, "state": "change"}}'""", check=False)
    lab.check(refused.exit_code == 22, "a state of a port that is not there was taken")
    job.finish()


def moved_to_another_group(lab, target, subsystem, ports, ways):
    """A group gets a state while it has no member; then the namespace moves there, and back."""
    states = [{"group": GROUP + 1, "port": 1, "state": "non-optimized"}, {"group": GROUP + 1, "port": 2, "state": "inaccessible"}]
    states += [{"group": GROUP, "port": port["id"], "state": "optimized"} for port in ports]
    wanted = daemon.config(lab, [], ports=ports, subsystems=[{**subsystem, "ana": states}])
    target.reload(wanted)
    wait_for_states(lab, ways, "optimized", "optimized")
    elsewhere = {**subsystem, "ana": states, "namespaces": [{**subsystem["namespaces"][0], "ana_group": GROUP + 1}]}
    target.reload({**wanted, "subsystems": [elsewhere]})
    wait_for_states(lab, ways, "non-optimized", "inaccessible")
    moves(lab, target, "the namespace is in another group")
    target.reload(wanted)
    wait_for_states(lab, ways, "optimized", "optimized")


def set_state(lab, port, state):
    wanted = {"subsystem": daemon.NQN, "group": GROUP, "port": port, "state": state}
    lab.target.run(f"{SET_ANA} '{json.dumps(wanted)}'")


def wait_for_states(lab, ways, *states):
    """Until the host shows these states of the namespace's paths, in the order of its controllers."""
    for way, state in zip(ways, states):
        lab.host.until(f"grep -qx {state} /sys/class/nvme/{way}/nvme*c*n1/ana_state")


def moves(lab, target, when):
    """That commands reach the namespace, by its own counters."""
    wanted = commands(target) + 100
    deadline = time.monotonic() + MOVES_WAIT_S * lab.host.patience
    while commands(target) < wanted:
        lab.check(time.monotonic() < deadline, f"while {when}, hardly any command reaches the target")
        time.sleep(0.2)


def commands(target):
    shown = target.namespace()
    return sum(path["commands"] for direction in ("reads", "writes") for path in shown[direction].values())
