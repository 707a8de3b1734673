"""Operator upgrades the daemon while a disk has a host's write and does not answer: no other program takes over, this one serves on; when the disk has answered, the upgrade is made."""

from nvmf_lab import One, Ssd, daemon, initiator

TOPOLOGY = One(ssds=[Ssd()])
TIME_LIMIT_S = 300

PROGRAM = "/run/installed/nvmf-p2p"
# The hosts are moved for 5 s, and the disk has 29 s.
UPGRADE_WAIT_S = 90
OTHER = f"{daemon.NQN}:other"


def test(lab):
    disk = lab.target.ssd()
    lab.target.modprobe("dm_mod")
    lab.target.run(f"dmsetup create stuck --table \"0 $(blockdev --getsz {disk}) linear {disk} 0\" && dmsetup mknodes")
    lab.target.run(f"mkdir -p /run/installed && cp {daemon.stage(lab)} {PROGRAM} && truncate -s 16M /run/other.img")
    subsystems = [{"nqn": nqn, "allow_any_host": True, "namespaces": [space]}
                  for nqn, space in ((daemon.NQN, {"block": "/dev/mapper/stuck"}), (OTHER, {"file": "/run/other.img"}))]
    target = daemon.start(lab, daemon.config(lab, [], subsystems=subsystems), program=PROGRAM)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="--ctrl-loss-tmo=600 --reconnect-delay=1")
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    lab.target.run("dmsetup suspend --noflush stuck")
    writer = lab.host.start(f"dd if=/dev/zero of={device} bs=4k count=1 oflag=direct")
    lab.host.run("sleep 2")
    refused = lab.target.run(f"{PROGRAM} upgrade --socket {daemon.ADMIN_SOCKET}", timeout_s=UPGRADE_WAIT_S, check=False)
    lab.check(refused.exit_code == 1 and "commands had not ended" in refused.stderr, f"the upgrade was made while a disk had a write: {refused}")
    lab.check(f"namespace 1 of {daemon.NQN}" in refused.stderr, f"the namespace is not named: {refused.stderr}")
    target.check_alive()
    other = initiator.connect_controller(lab.host, lab.target.address(), OTHER)
    initiator.wait_for_namespaces(lab.host, other)
    lab.target.run("dmsetup resume stuck")
    writer.wait(timeout_s=90)
    done = lab.target.run(f"{PROGRAM} upgrade --socket {daemon.ADMIN_SOCKET}", timeout_s=UPGRADE_WAIT_S)
    lab.check("serves 2 namespaces" in done.stdout, f"the upgrade failed when the disk had answered: {done.stdout}")
    for nqn in (daemon.NQN, OTHER):
        initiator.disconnect(lab.host, nqn)
