"""Operator takes the target's address away under load and gives it back, then moves it to another RDMA device and back; the host reconnects by itself, no command fails, data verifies."""

import time

from nvmf_lab import TWO, daemon, fio, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 240

AWAY_S = 8
KATO_S = 5


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "32MiB"}]))
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, options=f"-i 2 -k {KATO_S} --reconnect-delay=1")
    load = fio.Endless(lab.host, device)
    for _ in range(2):
        lab.target.run(f"ip address del {lab.target.address()}/24 dev eth0")
        await_state(lab, live=False)
        target.wait_for_connections(0)
        lab.target.run(f"sleep {AWAY_S}; ip address add {lab.target.address()}/24 dev eth0")
        await_state(lab, live=True)
    another_device(lab)
    for device_there, device_gone in (("eth9", "eth0"), ("eth0", "eth9")):
        moves(lab, target, device_gone, device_there)
    lab.check(load.running(), "I/O failed while the address was away or moved")
    load.finish()
    initiator.disconnect(lab.host, daemon.NQN)
    lab.target.run("rdma link delete rxe9; ip link delete eth9")


def await_state(lab, live):
    lab.host.until(f"{'' if live else '!'} grep -qx live $(dirname $(grep -lx {daemon.NQN} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=40)


def another_device(lab):
    """A second RDMA device on the same wire, as the members of a bond are."""
    lab.target.run("modprobe macvlan; ip link add eth9 link eth0 type macvlan mode bridge; ip link set eth9 up; rdma link add rxe9 type rxe netdev eth9")


def moves(lab, target, gone, there):
    address = lab.target.address()
    listening = f": listening on {address}"
    before = target.output.count(listening)
    lab.target.run(f"ip address del {address}/24 dev {gone}; ip address add {address}/24 dev {there}")
    lab.host.run(f"ip neighbour flush {address}")
    begin = time.monotonic()
    while target.output.count(listening) == before:
        lab.check(time.monotonic() - begin < 30 * lab.target.patience, f"the target does not listen again after its address has moved to {there}")
        time.sleep(0.05)
    print(f"the target listened again {time.monotonic() - begin:.1f} s after its address had moved to {there}")
    await_state(lab, live=True)
