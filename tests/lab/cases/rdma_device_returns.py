"""Operator starts the daemon before its RNICs are there, and deletes and adds them under load; the ports come up, hosts reconnect by themselves, data verifies and goes through the CMBs each time; also when an address moves from one device to the other."""

import re
import time

from nvmf_lab import Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)] * 2, links=2)
TIME_LIMIT_S = 300

# Which devices go at a time, and for how long; the host is connected through the first.
AWAY_S = ((["rxe0"], 4), (["rxe0", "rxe1"], 0))
KATO_S = 5


def test(lab):
    delete(lab, ["rxe0", "rxe1"])
    ports = [{"id": 1, "address": lab.target.address()}, {"id": 2, "address": lab.target.address(1)}]
    namespaces = [{"nvme": lab.target.generic(0), "p2p": "require"}, {"nvme": lab.target.generic(1), "p2p": "prefer"}]
    target = daemon.start(lab, daemon.config(lab, namespaces, ports=ports), listens=0)
    target.wait_until_said("this machine has no RNIC")
    shown = daemon.command(lab, "status").stdout
    lab.check(len(re.findall(r"^ +\d .* waiting$", shown, re.MULTILINE)) == 2, f"status does not say that the ports wait:\n{shown}")

    add(lab, ["rxe1"])
    target.wait_until_listening(1)
    for pause_s in (0.2, 0.6, 1.2):  # it goes again while it is opened and proved
        add(lab, ["rxe0"])
        lab.target.run(f"sleep {pause_s}")
        delete(lab, ["rxe0"])
    add(lab, ["rxe0"])
    target.wait_until_listening(2)
    options = f"-i 2 -k {KATO_S} --reconnect-delay=1"
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=options)
    required, preferred = initiator.wait_for_namespaces(lab.host, controller, 2)
    fio.verify(lab.host, preferred, size_mib=2)
    seen = cmb_bytes(target)
    lab.check(all(seen), f"the device that came last moves nothing through the CMBs: {seen}")

    load = fio.Endless(lab.host, required)
    held = []
    for devices, away_s in AWAY_S:
        delete(lab, devices)
        lab.target.until(f"! {daemon.stage(lab)} p2p | grep -q {devices[0]}", timeout_s=30)
        await_state(lab, live=False)
        target.wait_for_connections(0)
        spent_s = target.cpu_time_s()
        lab.target.run(f"sleep {away_s}")
        lab.check(target.cpu_time_s() - spent_s < 0.5 + away_s / 4, "the daemon is busy while the device is away")
        add(lab, devices)
        await_state(lab, live=True)
        target.wait_until_listening(2)
        fio.verify(lab.host, preferred, size_mib=2)
        held.append(target.footprint())
        before, seen = seen, cmb_bytes(target)
        lab.check(all(now > was for was, now in zip(before, seen)), f"the device that is back moves nothing through the CMBs: {before}, then {seen}")
    for gone, there in (("eth0", "eth1"), ("eth1", "eth0")):
        move_address(lab, target, gone, there)
    lab.check(load.running(), "I/O failed while the device was away, or the address moved")
    load.finish()
    grown = held[-1].leaked_since(held[0], tolerance_kib=2048)
    lab.check(not grown, f"devices that go and come back leave something behind: {grown}")
    initiator.disconnect(lab.host, daemon.NQN)


def move_address(lab, target, gone, there):
    """As a bond or a restart of the network does."""
    address = lab.target.address()
    listening = f"port 1: listening on {address}"
    before = target.output.count(listening)
    lab.target.run(f"ip address del {address}/24 dev {gone}; ip address add {address}/24 dev {there}")
    begin = time.monotonic()
    lab.host.run(f"ip route {'add' if there == 'eth1' else 'del'} {address}/32 dev eth1")
    while target.output.count(listening) == before:
        lab.check(time.monotonic() - begin < 30 * lab.target.patience, f"the target does not listen again after its address has moved to {there}")
        time.sleep(0.05)
    print(f"the target listened again {time.monotonic() - begin:.1f} s after its address had moved to {there}")
    await_state(lab, live=True)


def delete(lab, devices):
    lab.target.run("; ".join(f"rdma link delete {device}" for device in devices), timeout_s=60)


def add(lab, devices):
    lab.target.run("; ".join(f"rdma link add {device} type rxe netdev {device.replace('rxe', 'eth')}" for device in devices))


def await_state(lab, live):
    lab.host.until(f"{'' if live else '!'} grep -qx live $(dirname $(grep -lx {daemon.NQN} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=40)


def cmb_bytes(target):
    return [one["reads"]["cmb"]["bytes"] + one["writes"]["cmb"]["bytes"] for one in target.stats()["namespaces"]]
