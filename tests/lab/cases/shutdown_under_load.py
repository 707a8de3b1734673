"""Operator stops the daemon under load and starts it again; it drains in time, and host goes on with no wrong byte."""

import time

from nvmf_lab import One, Ssd, daemon, initiator

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)] * 4)  # as io_verify_p2p: they can have the same guest
DRAIN_S = 5


def test(lab):
    config = daemon.config(lab, [{"block": lab.target.ssd(0), "p2p": "require"}, {"block": lab.target.ssd(1), "p2p": "off"}])
    first = daemon.start(lab, config)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="--reconnect-delay=1")
    devices = initiator.wait_for_namespaces(lab.host, controller, 2)
    jobs = " ".join(f"--name=job{number} --filename={device}" for number, device in enumerate(devices))
    fio = lab.host.start(
        f"exec fio --ioengine=io_uring --direct=1 --thread --rw=randwrite --bs=16k --iodepth=16 --size=32M --verify=crc32c --do_verify=1 --verify_fatal=1 {jobs}"
    )
    time.sleep(2)
    lab.check(fio.running(), f"fio ended before the daemon was stopped: {fio.stdout}{fio.stderr}")
    begin = time.monotonic()
    first.stop()
    took_s = time.monotonic() - begin
    lab.check(took_s < DRAIN_S + 5, f"the daemon took {took_s:.1f} s to stop")

    daemon.start(lab, config, name="again")
    fio.wait(timeout_s=120)
    lab.check(set(initiator.controllers(lab.host, daemon.NQN).values()) == {"live"}, "the host did not reconnect")
