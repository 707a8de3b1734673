"""Target offers several subsystems and namespaces on two ports; host finds each way to them, uses two paths to one subsystem, and two hosts share one disk through two."""

import json

from nvmf_lab import One, daemon, fio, initiator

TOPOLOGY = One(links=2)

FIRST, BOTH = "nqn.2026-01.io.example:first", "nqn.2026-01.io.example:both"
SHARING = ("nqn.2026-01.io.example:sharing-a", "nqn.2026-01.io.example:sharing-b")
KEYS = (0xA, 0xB)
WRITE_EXCLUSIVE, OTHER_SUBSYSTEM = 1, 0xFFFD
CONFLICT = "Invalid exchange"  # EBADE, which is what Linux makes of Reservation Conflict
NONE, PROTECTED = 0, 1
SIZES_MIB = {1: 16, 7: 32, 1024: 64}


def test(lab):
    first, second = lab.target.address(0), lab.target.address(1)
    ports = [{"id": 1, "address": first}, {"id": 2, "address": second, "service": 4430}]
    subsystems = [
        {"nqn": FIRST, "allow_any_host": True, "ports": [1], "namespaces": [{"memory": "16MiB"}]},
        {"nqn": BOTH, "allow_any_host": True, "namespaces": [{"nsid": nsid, "memory": f"{size}MiB"} for nsid, size in SIZES_MIB.items()]},
    ]
    lab.target.run("truncate -s 16M /tmp/shared")
    subsystems += [{"nqn": nqn, "allow_any_host": True, "namespaces": [{"file": "/tmp/shared"}]} for nqn in SHARING]
    daemon.start(lab, daemon.config(lab, [], ports=ports, subsystems=subsystems), listens=2)

    for port in ports:  # whichever port is asked: one entry for each way to each subsystem
        found = initiator.discover(lab.host, port["address"], port.get("service", 4420))
        ways = sorted((one["subnqn"], one["traddr"], one["trsvcid"]) for one in found if one["subnqn"] in (FIRST, BOTH))
        lab.check(ways == sorted([(FIRST, first, "4420"), (BOTH, first, "4420"), (BOTH, second, "4430")]), f"{port} shows {ways}")
    wrong_port = lab.host.run(f"nvme connect -t rdma -a {ports[1]['address']} -s 4430 -n {FIRST}", check=False)
    lab.check(wrong_port.exit_code != 0, "a subsystem can be reached through a port that does not offer it")

    initiator.connect(lab.host, ports[0]["address"], FIRST)
    controllers = [initiator.connect_controller(lab.host, port["address"], BOTH, port.get("service", 4420)) for port in ports]
    devices = [initiator.wait_for_namespaces(lab.host, controller, len(SIZES_MIB)) for controller in controllers]
    lab.check(devices[0] == devices[1], f"the host did not join the two paths: {devices}")
    identities = [json.loads(lab.host.run(f"nvme id-ctrl /dev/{one} -o json").stdout) for one in controllers]
    lab.check(identities[0]["cntlid"] != identities[1]["cntlid"], "two controllers have one CNTLID")
    lab.check(identities[0]["sn"] == identities[1]["sn"], "two controllers of one subsystem have different serial numbers")
    for device, size_mib in zip(devices[0], SIZES_MIB.values()):
        size = int(lab.host.run(f"blockdev --getsize64 {device}").stdout)
        lab.check(size == size_mib << 20, f"{device} has {size} bytes, not {size_mib} MiB")
    fio.verify_all(lab.host, devices[0], fio.Shape(4096, 16, 256))
    one_disk_in_two_subsystems(lab, first)


def one_disk_in_two_subsystems(lab, address):
    """What is written through one is read through the other; what a host reserves or protects in one holds in the other."""
    here, there = (initiator.connect(lab.host, address, nqn, options=identity(key)) for nqn, key in zip(SHARING, KEYS))
    lab.check(here != there, f"the host takes two subsystems' namespaces for one: {here}")
    fio.run(lab.host, here, "--rw=write --bs=64k --size=4M --verify=crc32c --do_verify=0")
    fio.run(lab.host, there, "--rw=write --bs=64k --size=4M --verify=crc32c --verify_only")

    lab.host.run(f"nvme resv-register {here} --nrkey={KEYS[0]} --rrega=0")
    lab.host.run(f"nvme resv-acquire {here} --crkey={KEYS[0]} --rtype={WRITE_EXCLUSIVE} --racqa=0")
    lab.check(CONFLICT in write(lab, there), f"a write through the other subsystem does not conflict: {write(lab, there)!r}")
    lab.check(write(lab, here) == "", f"the holder cannot write: {write(lab, here)}")
    report = json.loads(lab.host.run(f"nvme resv-report {there} --eds -o json").stdout)
    registered = [(one["cntlid"], one["rcsts"], one["rkey"]) for one in report["regctlext"]]
    lab.check(registered == [(OTHER_SUBSYSTEM, 1, KEYS[0])], f"the other subsystem reports {report}")
    lab.host.run(f"nvme resv-release {here} --crkey={KEYS[0]} --rtype={WRITE_EXCLUSIVE} --rrela=0")

    lab.host.run(f"nvme set-feature {here} --namespace-id=1 --feature-id=0x84 --value={PROTECTED}")
    for device in (here, there):
        lab.host.until(f"[ $(blockdev --getro {device}) = 1 ]")
    lab.host.run(f"nvme set-feature {there} --namespace-id=1 --feature-id=0x84 --value={NONE}")
    for device in (here, there):
        lab.host.until(f"[ $(blockdev --getro {device}) = 0 ]")
        lab.check(write(lab, device) == "", f"{device} is not writable again: {write(lab, device)}")


def identity(key):
    hostid = f"11111111-2222-4333-8444-{key:012x}"
    return f"--hostnqn=nqn.2014-08.org.nvmexpress:uuid:{hostid} --hostid={hostid}"


def write(lab, device):
    """What the system says to a write; empty when it has no objection."""
    done = lab.host.run(f"dd if=/dev/zero of={device} bs=4k count=1 oflag=direct status=none", check=False)
    return done.stderr if done.exit_code else ""
