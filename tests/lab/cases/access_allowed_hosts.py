"""Host that is not on the list sees no subsystem and is refused with Connect Invalid Host; one that is on it connects."""

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE

FRIEND = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
STRANGER = "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-4333-8444-555555555555"


def test(lab):
    subsystem = {"nqn": daemon.NQN, "allowed_hosts": [FRIEND], "namespaces": [{"memory": "16MiB"}]}
    target = daemon.start(lab, daemon.config(lab, [], subsystems=[subsystem]))

    seen = {name: initiator.discover(lab.host, lab.target.address(), options=as_host(name)) for name in (FRIEND, STRANGER)}
    lab.check(daemon.NQN in [one["subnqn"] for one in seen[FRIEND]], f"the allowed host does not see the subsystem: {seen[FRIEND]}")
    lab.check(daemon.NQN not in [one["subnqn"] for one in seen[STRANGER]], f"the other host sees the subsystem: {seen[STRANGER]}")

    lab.host.run("dmesg -C")
    refused = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {daemon.NQN} {as_host(STRANGER)}", check=False)
    lab.check(refused.exit_code != 0, "the other host was let in")
    said = lab.host.run("dmesg").stdout
    lab.check("not allow" in said, f"the host's kernel does not say that it is not allowed:\n{said}")
    target.wait_until_said(f"host {STRANGER}")

    initiator.connect(lab.host, lab.target.address(), daemon.NQN, options=as_host(FRIEND))
    initiator.disconnect(lab.host, daemon.NQN)


def as_host(nqn):
    return f"--hostnqn={nqn} --hostid={nqn.split(':')[-1]}"
