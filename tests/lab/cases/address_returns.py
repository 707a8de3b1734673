"""Operator takes the target's address away under load and gives it back; the host reconnects by itself, no command fails, data verifies."""

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
    lab.check(load.running(), "I/O failed while the address was away")
    load.finish()
    initiator.disconnect(lab.host, daemon.NQN)


def await_state(lab, live):
    lab.host.until(f"{'' if live else '!'} grep -qx live $(dirname $(grep -lx {daemon.NQN} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=40)
