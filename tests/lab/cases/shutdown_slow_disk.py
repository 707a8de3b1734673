"""Operator stops the daemon while a disk sits on its commands; it gives up at its bound with status 1, or at the second signal at once."""

import signal
import time

from nvmf_lab import One, daemon, initiator

TOPOLOGY = One()

DISK_S = 20
NEVER_S = 600


def test(lab):
    lab.target.run(f"modprobe null_blk nr_devices=1 gb=1 irqmode=2 completion_nsec={DISK_S}000000000")
    # The kernel keeps a process that has commands on a disk until they are back: that time is the disk's.
    took_s = stop(lab, bound_s=1, signals=1)
    lab.check(took_s < DISK_S + 10, f"with a bound of 1 s it took {took_s:.0f} s")
    took_s = stop(lab, bound_s=NEVER_S, signals=2)
    lab.check(took_s < DISK_S + 10, f"two signals took {took_s:.0f} s")


def stop(lab, bound_s, signals):
    """Stop it with a command on the slow disk; returns how long that took."""
    target = daemon.start(lab, daemon.config(lab, [{"block": "/dev/nullb0"}], shutdown_timeout_ms=1000 * bound_s), name=f"bound{bound_s}")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="--ctrl-loss-tmo=0")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    reader = lab.host.start(f"dd if={device} of=/dev/null bs=4k count=1 skip=100 iflag=direct")
    time.sleep(2)
    begin = time.monotonic()
    for _ in range(signals):
        target.signal(signal.SIGTERM)
        time.sleep(0.5)
    target.expect_exit(1, timeout_s=DISK_S + 30)
    took_s = time.monotonic() - begin
    reader.wait(timeout_s=60, check=False)
    lab.host.run(f"nvme disconnect -n {daemon.NQN}", check=False)
    return took_s
