"""Host stops (its CPUs halt, its link stays up) and sends no keep-alives; target disconnects it in time, and takes it back when it wakes up."""

from nvmf_lab import Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)])

KATO_S = 5


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(), "p2p": "require"}]))
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, options=f"-k {KATO_S} --reconnect-delay=1")
    lab.host.freeze()
    took_s = target.wait_for_connections(0, timeout_s=2 * KATO_S)
    lab.check(took_s > KATO_S / 2, f"the host was disconnected after {took_s:.1f} s: not by its keep-alive timer")
    target.wait_until_said("keep-alive timeout")

    lab.host.thaw()
    lab.host.until(f"grep -q live /sys/class/nvme/{controller(lab)}/state", timeout_s=60)
    fio.verify_all(lab.host, [device], fio.Shape(4096, 16, 256))


def controller(lab):
    return next(iter(initiator.controllers(lab.host, daemon.NQN)))
