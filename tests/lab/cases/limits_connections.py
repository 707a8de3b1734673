"""Hosts ask for more controllers, queues and connections than limits allow; target grants what is left, refuses the rest, ends what is dead, and serves on."""

from nvmf_lab import One, daemon, fio, initiator

TOPOLOGY = One()
TIME_LIMIT_S = 200

GUESTS_SUBSYSTEM = "nqn.2026-01.io.example:lab-other"


def test(lab):
    config = daemon.config(lab, [{"memory": "16MiB"}], rdma={"max_queue_depth": 1024})
    config["subsystems"][0]["max_controllers_per_host"] = 1
    config["subsystems"].append({"nqn": GUESTS_SUBSYSTEM, "allow_any_host": True, "namespaces": [{"memory": "32MiB"}]})
    target = daemon.start(lab, {**config, "limits": {"max_io_queues": 3}})
    io_queues(lab, target)
    target.reload({**config, "limits": {"max_new_controllers_per_s_per_host": 5}})

    hostile_host = f"{daemon.stage(lab, 'hostile_host')} {{}} {lab.target.address()} {{}}"
    device = initiator.connect(lab.host, lab.target.address(), GUESTS_SUBSYSTEM)
    load = fio.Endless(lab.host, device)
    lab.host.run(hostile_host.format("storm", GUESTS_SUBSYSTEM))
    told = [line for line in target.output.splitlines() if "max_new_controllers_per_s_per_host" in line]
    lab.check(len(told) in (1, 2), f"a storm of refused connections makes {len(told)} lines in the log: {told}")
    lab.check(target.stats()["refused_by_rate"] > len(told), f"refusals were not counted: {target.stats()['refused_by_rate']}")

    lab.host.run(hostile_host.format("use-up", GUESTS_SUBSYSTEM))
    lab.host.run(hostile_host.format("return", daemon.NQN))
    lab.check("silent, and the host connects anew" in target.output, "the log does not tell of the controller that made room")
    lab.check(load.running(), "I/O of another controller failed meanwhile")
    load.finish()


def io_queues(lab, target):
    """Hosts ask for two I/O queues each, where there are three in all: the second has one, a third none."""
    counts = []
    for number in (1, 2):
        controller = initiator.connect_controller(lab.host, lab.target.address(), GUESTS_SUBSYSTEM, options=f"-i 2 {identity(number)}")
        initiator.wait_for_namespaces(lab.host, controller)
        counts.append(int(lab.host.read(f"/sys/class/nvme/{controller}/queue_count")))
    lab.check(counts == [3, 2], f"the controllers have {counts} queues, admin queues included, not 3 and 2")
    refused = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {GUESTS_SUBSYSTEM} {identity(3)}", check=False)
    lab.check(refused.exit_code != 0, "a third controller was made")
    target.wait_until_said('"limits"."max_io_queues" is 3')
    lab.check(initiator.discover(lab.host, lab.target.address()), "a full target cannot be discovered")
    initiator.disconnect(lab.host, GUESTS_SUBSYSTEM)
    target.wait_for_connections(0)


def identity(number):
    hostid = f"11111111-2222-4333-8444-{number:012x}"
    return f"--hostnqn=nqn.2014-08.org.nvmexpress:uuid:{hostid} --hostid={hostid}"
