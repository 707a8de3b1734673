"""Operator stops the daemon while a disk sits on its commands; it gives up at its bound, or at the second signal, with status 1."""

import signal
import time

from nvmf_lab import One, Ssd, daemon, initiator

TOPOLOGY = One(ssds=[Ssd()])

NEVER_S = 600


def test(lab):
    stop(lab, bound_s=1, signals=1)
    stop(lab, bound_s=NEVER_S, signals=2)


def stop(lab, bound_s, signals):
    """Stop it with commands on the stuck disk. With one signal and enough time it would finish the commands and exit with 0."""
    config = daemon.config(lab, [{"block": lab.target.ssd()}], shutdown_timeout_ms=1000 * bound_s)
    target = daemon.start(lab, config, name=f"bound{bound_s}")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="--ctrl-loss-tmo=0")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    disk_speed(lab, bytes_per_s=1)
    reader = lab.host.start(f"dd if={device} of=/dev/null bs=4k count=4 iflag=direct")
    time.sleep(2)
    for _ in range(signals):
        target.signal(signal.SIGTERM)
        time.sleep(2)
    # The kernel keeps a process that has commands on a disk until they are back.
    disk_speed(lab, bytes_per_s=0)
    said = target.expect_exit(1)
    lab.check("DATA MAY BE DAMAGED" in said and f"namespace 1 of {daemon.NQN}" in said, "the daemon did not say which namespaces have commands outstanding")
    reader.wait(timeout_s=60, check=False)
    lab.host.run(f"nvme disconnect -n {daemon.NQN}", check=False)


def disk_speed(lab, bytes_per_s):
    """What QEMU lets through to the SSD's file; 0 lifts the limit."""
    lab.target.qmp("block_set_io_throttle", id="ssd0", bps=bytes_per_s, bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)
