"""Operator starts the daemon before the RDMA device is there, and deletes and adds the device under load; the port comes up, hosts reconnect by themselves, data verifies and goes through the CMB each time."""

from nvmf_lab import Machine, Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)] * 2, host=Machine())
TIME_LIMIT_S = 300

LINK = "rxe0"
AWAY_S = (4, 0)  # deleted and added again at once, too
KATO_S = 5


def test(lab):
    delete(lab)
    namespaces = [{"nvme": lab.target.generic(0), "p2p": "require"}, {"nvme": lab.target.generic(1), "p2p": "prefer"}]
    target = daemon.start(lab, daemon.config(lab, namespaces), listens=0)
    target.wait_until_said("there is no RDMA device on this machine")
    shown = daemon.command(lab, "status").stdout
    lab.check("waiting" in shown, f"status does not say that the port waits:\n{shown}")

    add(lab)
    target.wait_until_listening()
    options = f"-i 2 -k {KATO_S} --reconnect-delay=1"
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=options)
    required, preferred = initiator.wait_for_namespaces(lab.host, controller, 2)
    fio.verify(lab.host, preferred, size_mib=4)
    seen = cmb_bytes(target)
    lab.check(all(seen), f"the device that came after the start moves nothing through the CMBs: {seen}")

    load = fio.Endless(lab.host, required)
    held = []
    for away_s in AWAY_S:
        delete(lab)
        lab.target.until(f"! {daemon.stage(lab)} p2p | grep -q {LINK}", timeout_s=30)
        await_state(lab, live=False)
        target.wait_for_connections(0)
        spent_s = target.cpu_time_s()
        lab.target.run(f"sleep {away_s}")
        lab.check(target.cpu_time_s() - spent_s < 0.5 + away_s / 4, "the daemon is busy while the device is away")
        add(lab)
        await_state(lab, live=True)
        fio.verify(lab.host, preferred, size_mib=4)
        held.append(target.footprint())
        before, seen = seen, cmb_bytes(target)
        lab.check(all(now > was for was, now in zip(before, seen)), f"the device that is back moves nothing through the CMBs: {before}, then {seen}")
    lab.check(load.running(), "I/O failed while the device was away")
    load.finish()
    grown = held[-1].leaked_since(held[0], tolerance_kib=2048)
    lab.check(not grown, f"a device that goes and comes back leaves something behind: {grown}")
    initiator.disconnect(lab.host, daemon.NQN)


def delete(lab):
    lab.target.run(f"rdma link delete {LINK}", timeout_s=60)


def add(lab):
    lab.target.run(f"rdma link add {LINK} type rxe netdev eth0")


def await_state(lab, live):
    lab.host.until(f"{'' if live else '!'} grep -qx live $(dirname $(grep -lx {daemon.NQN} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=40)


def cmb_bytes(target):
    return [one["reads"]["cmb"]["bytes"] + one["writes"]["cmb"]["bytes"] for one in target.stats()["namespaces"]]
