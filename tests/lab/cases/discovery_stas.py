"""nvme-stas, a discovery client that is not nvme-cli, finds the target's subsystem and connects it; a second one that a reload adds follows by itself."""

from nvmf_lab import TWO, daemon, initiator
from nvmf_lab.userland import Userland

TOPOLOGY = TWO
TIME_LIMIT_S = 300

# Debian has it since 13.
STAS = Userland("nvme-stas", "trixie", ["nvme-stas", "dbus-daemon", "udev"])
OTHER_NQN = "nqn.2026-01.io.example:other"

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy>
</busconfig>
"""
STAFD = """\
[Global]
tron = true
[Service Discovery]
zeroconf = disabled
[Controllers]
controller = transport=rdma;traddr={address};trsvcid=4420
"""
STACD = "[Global]\ntron = true\n"


def test(lab):
    config = daemon.config(lab, [{"memory": "16MiB"}])
    target = daemon.start(lab, config)
    start_stas(lab)
    connected(lab, daemon.NQN)

    more = {"nqn": OTHER_NQN, "allow_any_host": True, "namespaces": [{"memory": "16MiB"}]}
    target.reload({**config, "subsystems": [*config["subsystems"], more]})
    connected(lab, OTHER_NQN)


def start_stas(lab):
    host = lab.host
    host.modprobe("nvme_rdma")
    inside = STAS.enter(host)
    etc = f"{STAS.fetch()}/etc/stas"
    host.write("/run/bus.conf", BUS)
    host.write(f"{etc}/stafd.conf", STAFD.format(address=lab.target.address()))
    host.write(f"{etc}/stacd.conf", STACD)
    host.run("mkdir -p /run/dbus /run/udev")
    for number, command in enumerate(
        (
            "/usr/lib/systemd/systemd-udevd",
            "/usr/bin/dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile",
            "/usr/sbin/stafd -f /etc/stas/stafd.conf",
            "/usr/sbin/stacd -f /etc/stas/stacd.conf",
        )
    ):
        host.start(f"exec {inside} {command} >/results/stas-{number}.log 2>&1")
        host.run("sleep 1")


def connected(lab, nqn):
    """Python takes its time to start on an emulated CPU."""
    lab.host.until(f"grep -qx live $(dirname $(grep -lx {nqn} /sys/class/nvme/nvme*/subsysnqn))/state", timeout_s=100, every_s=1)
    print(initiator.controllers(lab.host, nqn))
