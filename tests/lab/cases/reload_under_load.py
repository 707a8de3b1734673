"""Operator reloads configs while a host writes and verifies: what changed is there, what did not never stops, what is wrong changes nothing."""

import time

from nvmf_lab import TWO, daemon, fio, initiator

TOPOLOGY = TWO
ALONE = True  # beside other guests Soft-RoCE may be kept waiting until its connections break
TIME_LIMIT_S = 240

OTHER_NQN = "nqn.2026-01.io.example:other"
FROZEN = "/srv/frozen"
HOLD_DISKS = 'import os, time; held = [os.open(f"/dev/ram{i}", os.O_RDWR | os.O_EXCL) for i in range(64)]; open("/tmp/held", "w"); time.sleep(600)'
ASK = f"until [ -e /tmp/enough ]; do curl -sSf -m 20 --unix-socket {daemon.ADMIN_SOCKET} http://d/v1/status >/dev/null || exit 1; sleep 0.1; done"
STRANGER = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001"


def test(lab):
    lab.target.run("truncate -s 32M /tmp/disk")
    first, second = {"nsid": 1, "memory": "32MiB"}, {"nsid": 2, "file": "/tmp/disk", "block_size": 512}
    alone = daemon.config(lab, [first])
    both = daemon.config(lab, [first, second])
    target = daemon.start(lab, alone)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    load = fio.Load(lab.host, device)
    # The load keeps its own controller alive. This one has its Keep Alive commands only.
    idle = initiator.connect_controller(lab.host, lab.target.address(), daemon.DISCOVERY_NQN, options="-k 5")

    namespaces_come_change_and_go(lab, target, controller, alone, both)
    subsystems_come_and_go(lab, target, both)
    mistakes_change_nothing(lab, target, controller, both)

    lab.check(load.running(), f"the load ended: {load.story()}")
    gone = target.departures(daemon.NQN) + target.departures(daemon.DISCOVERY_NQN)
    lab.check(not gone, f"the host lost a controller meanwhile: {gone}")
    lab.host.run(f"nvme disconnect -d {idle}")
    load.stop()
    served = target.namespace(1)
    lab.check(served["errors"] == 0 and served["reads"]["dram"]["commands"] > 0, f"the load met errors, or was none: {served}")

    unwelcome = {**both, "subsystems": [{"nqn": daemon.NQN, "allowed_hosts": [STRANGER], "namespaces": [first, second]}]}
    target.reload(unwelcome)
    lab.host.until(f"! [ -e /sys/class/nvme/{controller} ] || [ $(cat /sys/class/nvme/{controller}/state) != live ]")
    lab.check("the host may not connect to subsystem" in target.output, "the daemon does not say why it disconnected the host")
    initiator.disconnect(lab.host, daemon.NQN)


def namespaces_come_change_and_go(lab, target, controller, alone, both):
    [first] = initiator.block_devices(lab.host, controller)
    device = first.removesuffix("1") + "2"
    size = f"/sys/class/block/{device.removeprefix('/dev/')}/size"

    said = told(lab, "the new namespace", f"[ -b {device} ]", lambda: target.reload(both))
    lab.check(f"reload: add namespace 2 of {daemon.NQN}" in said, f"the daemon does not say what it adds:\n{said}")
    # When the host connected, nothing of the subsystem had a cache to flush.
    cache = lab.host.read(f"/sys/class/block/{device.removeprefix('/dev/')}/queue/write_cache").strip()
    lab.check(cache == "write back", f"the host takes the new disk's cache for {cache!r}")
    lab.host.run(f"dd if=/dev/zero of={device} bs=64k count=16 oflag=direct conv=fsync status=none")
    lab.check(flushes(target) > 0, "the host's fsync makes no Flush arrive")

    lab.target.run("truncate -s 48M /tmp/disk")
    said = told(lab, "the new size", f"[ $(<{size}) = 98304 ]", lambda: target.reload(both))
    lab.check("has 98304 blocks now, it had 65536 before" in said, f"the daemon does not notice the size:\n{said}")
    lab.host.run(f"dd if={device} of=/dev/null bs=64k count=1 skip=700 iflag=direct status=none")

    told(lab, "that it has gone", f"! [ -e {device} ]", lambda: target.reload(alone))


def flushes(target):
    return target.namespace(2)["commands"].get("flush", {"answered": 0})["answered"]


def subsystems_come_and_go(lab, target, config):
    other = {"nqn": OTHER_NQN, "allow_any_host": True, "ports": [2], "namespaces": [{"memory": "16MiB"}]}
    ports = config["ports"] + [{"id": 2, "address": lab.target.address(), "service": 4421}]
    more = {**config, "ports": ports, "subsystems": [{**config["subsystems"][0], "ports": [1]}, other]}
    target.reload(more)
    shown = {entry["subnqn"] for entry in initiator.discover(lab.host, lab.target.address())}
    lab.check({daemon.NQN, OTHER_NQN} <= shown, f"discovery shows {shown}")
    device = initiator.connect(lab.host, lab.target.address(), OTHER_NQN, port=4421, options="-l 5")
    lab.host.run(f"dd if={device} of=/dev/null bs=64k count=16 iflag=direct status=none")

    target.reload({**config, "subsystems": [{**config["subsystems"][0], "ports": [1]}]})
    shown = {entry["subnqn"] for entry in initiator.discover(lab.host, lab.target.address())}
    lab.check(OTHER_NQN not in shown, f"discovery still shows {shown}")
    lab.check(f"subsystem {OTHER_NQN} was removed" in target.output, "the daemon does not say why it disconnects")
    lab.host.until(f"! nvme list-subsys | grep -q {OTHER_NQN} || nvme disconnect -n {OTHER_NQN}")
    target.reload(config)


def mistakes_change_nothing(lab, target, controller, config):
    before = target.stats()["namespaces"]
    no_disk = {**config, "subsystems": [{**config["subsystems"][0], "namespaces": [{"nsid": 7, "nvme": "/dev/null"}]}]}
    [served, *others] = config["subsystems"][0]["namespaces"]
    gone = {"nsid": served["nsid"], "file": "/tmp/missing"}
    replaced = {**config, "subsystems": [{**config["subsystems"][0], "namespaces": [gone, *others]}]}
    # As busy as disks that other programs have taken: each takes a while to say so, and the host has a keep-alive of 5 s.
    lab.target.run("modprobe brd rd_nr=64 rd_size=4096; rm -f /tmp/held")
    holder = lab.target.start(f"exec python3 -c '{HOLD_DISKS}'")
    busy = [{"nsid": 100 + i, "block": f"/dev/ram{i}"} for i in range(64)]
    lab.target.until("[ -e /tmp/held ]")
    # Opening a file probes what its file system can do, which a frozen one does not answer.
    lab.target.run(f"modprobe -a loop ext4; mkdir -p {FROZEN}; truncate -s 64M /tmp/frozen; mkfs.ext4 -q /tmp/frozen; mount -o loop /tmp/frozen {FROZEN}")
    lab.target.run(f"for i in $(seq 8); do truncate -s 4M {FROZEN}/$i; done; fsfreeze --freeze {FROZEN}")
    hung = [{"nsid": 200 + i, "file": f"{FROZEN}/{i}"} for i in range(1, 9)]
    crowded = {**config, "subsystems": [{**config["subsystems"][0], "namespaces": [*config["subsystems"][0]["namespaces"], *busy, *hung]}]}
    lab.target.run("rm -f /tmp/enough")
    asker = lab.target.start(ASK)
    for wrong, reason in (
        (crowded, "another program uses it"),
        (crowded, f"{FROZEN}/8 does not answer"),
        ("{ not json", "has mistakes"),
        ({**config, "reactors": {"count": 2}}, '"reactors" takes effect only after a restart'),
        (no_disk, "/dev/null"),
        (replaced, "/tmp/missing"),
    ):
        said = target.reload(wrong)
        lab.check("reload refused, nothing has changed" in said and reason in said, f"the daemon does not refuse with {reason!r}:\n{said}")
    lab.target.run("touch /tmp/enough")
    asker.wait()  # fails when it was not answered once
    holder.stop()
    lab.target.run(f"modprobe -r brd; fsfreeze --unfreeze {FROZEN}")
    lab.target.until(f"umount {FROZEN}")  # the daemon closes the files that have answered after all
    after = target.stats()["namespaces"]
    lab.check([one["nsid"] for one in after] == [one["nsid"] for one in before], f"a refused reload changed what is served: {after}")
    lab.check(len(initiator.block_devices(lab.host, controller)) == 2, "a refused reload changed what the host sees")


def told(lab, what, sight, reload):
    """Reload, and wait until the host has sight of it; says how long that took after the reload."""
    watcher = lab.host.start(f"until {sight}; do sleep 0.02; done")
    said = reload()
    begin = time.monotonic()
    watcher.wait(timeout_s=10)
    print(f"the host saw {what} after {time.monotonic() - begin:.1f} s")
    return said
