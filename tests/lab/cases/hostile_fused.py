"""Two hosts send fused Compare and Write to one block while a third writes beside it; target keeps the pairs whole on all reactors, and nothing of a torn pair."""

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 150


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}], reactors={"count": 2}))
    program = daemon.stage(lab, "hostile_host")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    connections = target.stats()["connections"]

    writer = lab.host.start(
        f"fio --name=writer --filename={device} --ioengine=io_uring --direct=1 --rw=randwrite --bs=4k --iodepth=8 --offset=1M --size=4M --time_based --runtime=600"
    )
    lab.host.run(f"{program} fused {lab.target.address()} {daemon.NQN}", timeout_s=120)
    lab.check(writer.running(), "the writer beside the pairs has ended")
    writer.stop()
    target.wait_for_connections(connections)
    lab.check(set(initiator.controllers(lab.host, daemon.NQN).values()) == {"live"}, "the well-behaved host lost its controller")
