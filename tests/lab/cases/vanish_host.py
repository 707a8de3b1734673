"""Host vanishes under load, by power cut and by link loss; target cleans up in time and holds no more than before."""

import time

from nvmf_lab import Ssd, Two, daemon, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)])
TIME_LIMIT_S = 400

KATO_S = 5
TOLERANCE_KIB = 1024
MEMORY_MIB = 16
LOAD_COMMANDS = 50
LOAD_WAIT_S = 30


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(), "p2p": "prefer"}, {"memory": f"{MEMORY_MIB}MiB"}]))
    memory = load(lab, target)[1]
    lab.host.run("pkill -9 -x fio; true")
    lab.host.run(f"dd if=/dev/zero of={memory} bs=1M count={MEMORY_MIB} oflag=direct")  # resident from now on
    initiator.disconnect(lab.host, daemon.NQN)
    target.wait_for_connections(0)
    before = target.footprint()

    power_cuts, link_losses = lab.rounds(1, thorough=3), lab.rounds(3, thorough=7)
    for _ in range(power_cuts):
        load(lab, target)
        lab.host.kill()
        cleaned_up(lab, target)
        lab.restart("host")
    for _ in range(link_losses):
        load(lab, target)
        lab.host.set_link(up=False)
        cleaned_up(lab, target)
        lab.host.set_link(up=True)
        lab.host.run("pkill -9 -x fio; true")
        initiator.disconnect(lab.host, daemon.NQN)
        target.wait_for_connections(0)

    leaked = target.footprint().leaked_since(before, TOLERANCE_KIB)
    lab.check(not leaked, f"after {power_cuts} power cuts and {link_losses} link losses the daemon holds more: {leaked}")


def load(lab, target):
    """Connect and leave reads and writes running on both namespaces, which it returns."""
    before = moved(target)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=f"-k {KATO_S} --reconnect-delay=1")
    devices = initiator.wait_for_namespaces(lab.host, controller, 2)
    jobs = " ".join(f"--name=job{number} --filename={device}" for number, device in enumerate(devices))
    lab.host.start(f"exec fio --ioengine=io_uring --direct=1 --thread --rw=randrw --bsrange=4k-128k --iodepth=16 --time_based --runtime=600 {jobs}")
    deadline = time.monotonic() + LOAD_WAIT_S * lab.host.patience
    while any(now < was + LOAD_COMMANDS for was, now in zip(before, moved(target))):
        lab.check(time.monotonic() < deadline, f"the host's load does not begin: {moved(target)} commands, {before} before")
        time.sleep(0.1)
    return devices


def moved(target):
    """Commands so far: reads and writes of each namespace."""
    return [sum(path["commands"] for path in target.namespace(nsid)[way].values()) for nsid in (1, 2) for way in ("reads", "writes")]


def cleaned_up(lab, target):
    took_s = target.wait_for_connections(0, timeout_s=2 * KATO_S)
    print(f"cleaned up after {took_s:.1f} s")
