"""Operator takes the target's address away under load and gives it back; the host reconnects by itself, no command fails, data verifies. A port on all addresses takes an address that appears and lets go of one that vanishes; discovery shows the address by which the host came."""

import json
import time

from nvmf_lab import TWO, daemon, fio, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 240

AWAY_S = 8
KATO_S = 5
EVERYWHERE = 4421  # service of the port on all addresses
SECOND = "198.51.100.7"
SECOND_OF_HOST = "198.51.100.8"
WAIT_S = 15


def test(lab):
    everywhere = {"id": 2, "address": "0.0.0.0", "service": EVERYWHERE}
    wanted = daemon.config(lab, [{"memory": "32MiB"}])
    target = daemon.start(lab, {**wanted, "ports": [*wanted["ports"], everywhere]}, listens=2)
    check_all_addresses(lab)
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


def check_all_addresses(lab):
    address = lab.target.address()
    await_addresses(lab, [address])
    lab.target.run(f"ip address add {SECOND}/24 dev eth0")
    lab.host.run(f"ip address add {SECOND_OF_HOST}/24 dev eth0")
    await_addresses(lab, [address, SECOND])
    for one in (address, SECOND):
        shown = initiator.discover(lab.host, one, EVERYWHERE)
        ways = {(record["portid"], record["traddr"]) for record in shown if record["subnqn"] == daemon.NQN}
        lab.check(ways == {(1, address), (2, one)}, f"a host that came by {one} is shown {ways}")
    lab.target.run(f"ip address del {SECOND}/24 dev eth0")
    await_addresses(lab, [address])


def await_addresses(lab, wanted):
    deadline = time.monotonic() + WAIT_S * lab.target.patience
    while (heard := heard_addresses(lab)) != sorted(wanted):
        lab.check(time.monotonic() < deadline, f"the port on all addresses listens on {heard}, not on {wanted}")
        time.sleep(0.2)


def heard_addresses(lab):
    status = json.loads(lab.target.ask(daemon.ADMIN_SOCKET, "/v1/status"))
    return sorted(next(port["addresses"] for port in status["ports"] if port["id"] == 2))


def await_state(lab, live):
    lab.host.until(f"{'' if live else '!'} grep -qx live $(dirname $(grep -lx {daemon.NQN} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=40)
