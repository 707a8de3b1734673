"""Two hosts on one subsystem: each sees the namespaces that are visible to it, and nobody writes to the one that is read-only."""

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE

FRIEND = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
STRANGER = "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-4333-8444-555555555555"


def test(lab):
    namespaces = [{"memory": "16MiB"}, {"memory": "16MiB", "visible_to": [FRIEND]}, {"memory": "16MiB", "read_only": True}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    for nqn, expected in ((STRANGER, ["0x1", "0x3"]), (FRIEND, ["0x1", "0x2", "0x3"])):
        controller = connect_as(lab, nqn)
        initiator.wait_for_namespaces(lab.host, controller, len(expected))
        listed = [line.split(":")[-1] for line in lab.host.run(f"nvme list-ns /dev/{controller}").stdout.splitlines()]
        lab.check(listed == expected, f"{nqn} lists namespaces {listed}, not {expected}")
        if nqn == STRANGER:
            initiator.disconnect(lab.host, daemon.NQN)

    read_only = initiator.block_devices(lab.host, controller)[2]
    lab.check(lab.host.run(f"blockdev --getro {read_only}").stdout.strip() == "1", "the host's kernel does not know that namespace 3 is read-only")
    lab.host.run(f"dd if={read_only} of=/dev/null bs=64k count=4 iflag=direct status=none")
    refused = lab.host.run(f"nvme write {read_only} -z 512 -c 0 -d /dev/zero --namespace-id=3", check=False)
    said = refused.stdout + refused.stderr
    lab.check(refused.exit_code != 0 and "WRITE_PROTECTED" in said.upper().replace(" ", "_"), f"a write got: {said}")
    lab.check(target.namespace(3)["writes"]["dram"]["commands"] == 0, "a write reached the read-only namespace")
    initiator.disconnect(lab.host, daemon.NQN)


def connect_as(lab, nqn):
    return initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=f"--hostnqn={nqn} --hostid={nqn.split(':')[-1]}")
