"""Operator reloads 100 configs that add, change and remove other subsystems: the host on this one meets no error; how long its slowest I/O took is told."""

import itertools
import time

from nvmf_lab import TWO, daemon, fio, initiator

TOPOLOGY = TWO
ALONE = True  # beside other guests Soft-RoCE may be kept waiting until its connections break
TIME_LIMIT_S = 240

RELOADS = 100
QUIET_S = 10
OTHER_NQN = "nqn.2026-01.io.example:other"
THIRD_NQN = "nqn.2026-01.io.example:third"
HOST = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001"


def test(lab):
    lab.target.run("truncate -s 16M /tmp/disk")
    plain = daemon.config(lab, [{"memory": "32MiB"}])
    target = daemon.start(lab, plain)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]

    load = fio.Load(lab.host, device)
    time.sleep(QUIET_S)
    undisturbed = load.stop()

    load = fio.Load(lab.host, device)
    begin = time.monotonic()
    for config in itertools.islice(itertools.cycle(changes(plain)), RELOADS):
        said = target.reload(config)
        lab.check("reloaded" in said and ": 0 changes" not in said, f"a reload did nothing or was refused:\n{said}")
    took = time.monotonic() - begin
    lab.check(load.running(), f"the load ended: {load.story()}")
    disturbed = load.stop()

    gone = target.departures(daemon.NQN)
    lab.check(not gone, f"the host lost its controller meanwhile: {gone}")
    served = target.namespace(1)
    lab.check(served["errors"] == 0, f"the load met errors: {served}")
    print(f"{RELOADS} reloads in {took:.1f} s")
    for direction in ("read", "write"):
        print(f"slowest {direction}: {undisturbed[direction].max_us / 1000:.1f} ms without reloads, {disturbed[direction].max_us / 1000:.1f} ms with")
    initiator.disconnect(lab.host, daemon.NQN)


def changes(plain):
    """Configs one after the other, round and round: each differs from the one before."""
    first = plain["subsystems"][0]
    other = {"nqn": OTHER_NQN, "allow_any_host": True, "namespaces": [{"nsid": 1, "memory": "4MiB"}]}
    wider = {**other, "namespaces": [*other["namespaces"], {"nsid": 2, "file": "/tmp/disk", "max_iops": 100}]}
    stricter = {**wider, "allow_any_host": False, "allowed_hosts": [HOST], "ana": [{"group": 1, "port": 1, "state": "non-optimized"}]}
    third = {"nqn": THIRD_NQN, "allow_any_host": True, "ports": [2], "namespaces": [{"memory": "4MiB"}]}
    both_ports = [*plain["ports"], {"id": 2, "address": plain["ports"][0]["address"], "service": 4421}]
    on_first_port = {**first, "ports": [1]}
    yield from (
        {**plain, "subsystems": [first, other]},
        {**plain, "subsystems": [first, wider]},
        {**plain, "subsystems": [first, stricter]},
        {**plain, "ports": both_ports, "subsystems": [on_first_port, {**stricter, "ports": [1]}, third]},
        plain,
    )
