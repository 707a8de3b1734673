"""Host drives a namespace with limits as hard as it can; target holds its rate, counts what waited, sleeps meanwhile, and leaves the namespace beside it alone."""

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 150

MAX_IOPS = 100
MAX_MIB_PER_S = 2
SECONDS = 8


def test(lab):
    namespaces = [{"memory": "64MiB", "max_iops": MAX_IOPS}, {"memory": "64MiB", "max_mib_per_s": MAX_MIB_PER_S}, {"memory": "64MiB"}]
    target = daemon.start(lab, daemon.config(lab, namespaces, reactors={"count": 2}))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    by_iops, by_bytes, free = initiator.wait_for_namespaces(lab.host, controller, len(namespaces))

    unlimited = fio.measure(lab.host, free, "randread", "4k", 16, SECONDS)["read"]
    cpu_s = target.cpu_time_s()
    held = fio.measure(lab.host, by_iops, "randread", "4k", 16, SECONDS, "--numjobs=2 --group_reporting")["read"]
    lab.check(unlimited.iops > 2 * MAX_IOPS, f"this machine is too slow to show a limit of {MAX_IOPS}: {unlimited}")
    lab.check(0.5 * MAX_IOPS < held.iops < 1.3 * MAX_IOPS, f"max_iops {MAX_IOPS} gives {held}; without a limit {unlimited}")
    cpu_s = target.cpu_time_s() - cpu_s
    lab.check(cpu_s < 0.7 * SECONDS, f"the daemon used {cpu_s:.1f} s of CPU time in {SECONDS} s of waiting: does it poll?")

    held = fio.measure(lab.host, by_bytes, "randwrite", "64k", 16, SECONDS)["write"]
    lab.check(0.5 * MAX_MIB_PER_S < held.mib_per_s < 1.3 * MAX_MIB_PER_S, f"max_mib_per_s {MAX_MIB_PER_S} gives {held}")

    one, two, three = (target.namespace(nsid) for nsid in (1, 2, 3))
    lab.check(one["throttled"] > MAX_IOPS and two["throttled"] > 0, f"nothing was throttled: {one} {two}")
    lab.check(three["throttled"] == 0, f"a namespace without a limit was throttled: {three}")
    lab.check(one["errors"] == two["errors"] == 0, f"throttled commands failed: {one} {two}")
    stop_with_commands_waiting(lab, target, by_iops)


def stop_with_commands_waiting(lab, target, device):
    """A full queue of commands that wait for a limit holds nobody up."""
    busy = lab.host.start(f"fio --name=busy --filename={device} --ioengine=io_uring --direct=1 --rw=randread --bs=4k --iodepth=64 --time_based --runtime=60")
    waited = target.namespace()["throttled"]
    lab.check(lab.host.until(f"test $(pgrep -c fio) -gt 0").exit_code == 0, "fio does not run")
    while target.namespace()["throttled"] < waited + 64:
        pass
    initiator.disconnect(lab.host, daemon.NQN)
    target.wait_for_connections(0)
    busy.wait(60, check=False)
