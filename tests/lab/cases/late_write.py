"""Host's write sits at a slow disk while its controller is reset, shut down, disconnected, times out, or is reset by another controller of the host; the host is told of the end when the write has ended, so that its next write by another path stays."""

from nvmf_lab import One, Ssd, daemon

TOPOLOGY = One(ssds=[Ssd()])
TIME_LIMIT_S = 240

# Two ways to the same blocks: what is written by the first reaches the disk 6 s later.
WAYS = {"slow": "delay {disk} 0 0 {disk} 0 6000", "quick": "linear {disk} 0"}


def test(lab):
    disk = lab.target.ssd()
    sectors = lab.target.run(f"blockdev --getsz {disk}").stdout.strip()
    lab.target.modprobe("dm_mod", "dm_delay")
    for name, table in WAYS.items():
        lab.target.run(f"dmsetup create {name} --table '0 {sectors} {table.format(disk=disk)}' && dmsetup mknodes")
    daemon.start(lab, daemon.config(lab, [{"block": f"/dev/mapper/{name}"} for name in WAYS]))
    program = daemon.stage(lab, "hostile_host")
    lab.host.run(f"{program} late-write {lab.target.address()} {daemon.NQN}", timeout_s=200)
