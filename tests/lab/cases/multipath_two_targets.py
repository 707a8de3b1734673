"""Two daemons serve one subsystem's disk on a port each; host joins them to one disk, and goes on over the second when the first is killed."""

from nvmf_lab import Two, daemon, fio, initiator

TOPOLOGY = Two(links=2)

FILE = "/run/shared.img"
MIB = 64
# One storage under two names, as two machines see it: on one machine a daemon locks its file, disk and state_dir.
DISKS = ("first", "second")
CNTLIDS = ((1, 99), (100, 199))


def test(lab):
    lab.target.modprobe("loop", "dm_mod")
    storage = lab.target.run(f"truncate -s {MIB}M {FILE} && losetup --find --show {FILE}").stdout.strip()
    for disk in DISKS:
        lab.target.run(f"dmsetup create {disk} --table '0 {MIB * 2048} linear {storage} 0' && dmsetup mknodes")
    targets = [start(lab, number) for number in (0, 1)]
    options = "-k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
    ways = [initiator.connect_controller(lab.host, lab.target.address(link), daemon.NQN, options=options) for link in (0, 1)]
    devices = [initiator.wait_for_namespaces(lab.host, way)[0] for way in ways]
    lab.check(devices[0] == devices[1], f"the host did not join the two targets: {devices}")
    for way, (least, most) in zip(ways, CNTLIDS):
        cntlid = int(lab.host.read(f"/sys/class/nvme/{way}/cntlid"))
        lab.check(least <= cntlid <= most, f"{way} has CNTLID {cntlid}, not {least} to {most}")

    job = fio.Endless(lab.host, devices[0])
    lab.host.run("sleep 3")
    targets[0].kill()
    lab.host.until(f"! grep -q live /sys/class/nvme/{ways[0]}/state")
    lab.host.run("sleep 3")
    lab.check(job.running(), "fio ended when one of two targets did")
    job.finish()


def start(lab, number):
    least, most = CNTLIDS[number]
    subsystem = {"nqn": daemon.NQN, "allow_any_host": True, "cntlid_min": least, "cntlid_max": most, "namespaces": [{"block": f"/dev/mapper/{DISKS[number]}"}]}
    port = {"id": number + 1, "address": lab.target.address(number)}
    own = {"admin": {"socket": f"/run/target{number}.sock"}, "state_dir": f"/var/lib/target{number}"}
    config = daemon.config(lab, [], ports=[port], subsystems=[subsystem], **own)
    return daemon.start(lab, config, name=f"target{number}")
