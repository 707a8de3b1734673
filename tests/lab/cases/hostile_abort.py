"""Host aborts commands that wait for their namespace's limit; target completes each once, with Command Abort Requested, and serves on."""

from nvmf_lab import ONE, daemon

TOPOLOGY = ONE
TIME_LIMIT_S = 120


def test(lab):
    namespaces = [{"memory": "16MiB"}, {"memory": "16MiB", "max_iops": 1}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    program = daemon.stage(lab, "hostile_host")
    lab.host.run(f"{program} abort {lab.target.address()} {daemon.NQN}", timeout_s=90)
    target.wait_for_connections(0)
    slow = target.namespace(2)
    lab.check(slow["throttled"] >= 5, f"nothing waited for the limit: {slow}")
    lab.check(slow["errors"] > 0, f"nothing was aborted: {slow}")
