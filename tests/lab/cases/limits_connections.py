"""Hosts ask for more controllers, queues and connections than limits allow; target grants what is left, refuses the rest, ends what is dead, and serves on."""

import json

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 200

GUESTS_SUBSYSTEM = "nqn.2026-01.io.example:lab-other"
THIRD_SUBSYSTEM = "nqn.2026-01.io.example:lab-third"
ROOMS = [f"nqn.2026-01.io.example:lab-room-{number}" for number in range(12)]  # more than an RNIC has room for, two queues each


def test(lab):
    config = daemon.config(lab, [{"memory": "16MiB"}], rdma={"max_queue_depth": 1024})
    config["subsystems"][0]["max_controllers_per_host"] = 1
    for nqn in (GUESTS_SUBSYSTEM, THIRD_SUBSYSTEM, *ROOMS):
        config["subsystems"].append({"nqn": nqn, "allow_any_host": True, "namespaces": [{"memory": "32MiB"}]})
    target = daemon.start(lab, {**config, "limits": {"max_io_queues": 3}})
    io_queues(lab, target)
    target.reload(config)
    queue_room(lab, target)
    target.reload({**config, "limits": {"max_new_controllers_per_s_per_host": 1}})

    hostile_host = f"{daemon.stage(lab, 'hostile_host')} {{}} {lab.target.address()} {{}}"
    device = initiator.connect(lab.host, lab.target.address(), GUESTS_SUBSYSTEM)
    load = fio.Endless(lab.host, device)
    lab.host.run(hostile_host.format("storm", GUESTS_SUBSYSTEM))
    told = [line for line in target.output.splitlines() if "max_new_controllers_per_s_per_host" in line]
    refused = target.stats()["refused_by_rate"]
    lab.check(0 < len(told) < refused, f"{refused} connections were refused, with {len(told)} lines in the log: {told}")

    target.reload(config)
    lab.host.run(hostile_host.format("use-up", GUESTS_SUBSYSTEM))
    lab.host.run(hostile_host.format("return", daemon.NQN))
    lab.check("no longer answers, and its host connects again" in target.output, "the log does not tell of the controller that made room")
    lab.check(load.running(), "I/O of another controller failed meanwhile")
    load.finish()


def io_queues(lab, target):
    """Two subsystems, two I/O queues wanted in each, where there are three in all: the second gets one, a third subsystem none."""
    counts = []
    for nqn in (GUESTS_SUBSYSTEM, daemon.NQN):
        controller = initiator.connect_controller(lab.host, lab.target.address(), nqn, options="-i 2")
        initiator.wait_for_namespaces(lab.host, controller)
        counts.append(int(lab.host.read(f"/sys/class/nvme/{controller}/queue_count")))
    lab.check(counts == [3, 2], f"the controllers have {counts} queues, admin queues included, not 3 and 2")
    refused = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {THIRD_SUBSYSTEM}", check=False)
    lab.check(refused.exit_code != 0, "a third controller was made")
    target.wait_until_said('"limits"."max_io_queues" is 3')
    lab.check(initiator.discover(lab.host, lab.target.address()), "a full target cannot be discovered")
    for nqn in (GUESTS_SUBSYSTEM, daemon.NQN):
        initiator.disconnect(lab.host, nqn)
    target.wait_for_connections(0)


def queue_room(lab, target):
    """One controller after the other, until the RNIC has no room for queues: each keeps what it was granted, the last is refused."""
    [room] = [one["max_io_queues"] for one in json.loads(lab.target.ask(daemon.ADMIN_SOCKET, "/v1/status"))["rdma_devices"]]
    granted = []
    for nqn in ROOMS:
        said = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {nqn} -i 2 -Q 1024 -o json", check=False)
        if said.exit_code != 0:
            break
        granted.append(int(lab.host.read(f"/sys/class/nvme/{json.loads(said.stdout)['device']}/queue_count")) - 1)
    lab.check(sum(granted) == room, f"there is room for {room} I/O queues, and the controllers have {granted}")
    target.wait_until_said("has no room for one more I/O queue")
    states = [state for nqn in ROOMS for state in initiator.controllers(lab.host, nqn).values()]
    lab.check(states == ["live"] * len(granted), f"the host did not keep its {len(granted)} controllers: {states}")
    lab.host.run("nvme disconnect-all")
    target.wait_for_connections(0)
