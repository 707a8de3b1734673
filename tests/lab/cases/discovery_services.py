"""Host finds the discovery service by multicast DNS and by its own NQN, and is referred to another; the daemon tells that Avahi is missing, and announces when it comes."""

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE

OWN_NQN = "nqn.2026-01.io.example:discovery"
ELSEWHERE = "10.77.9.9"


def test(lab):
    address = lab.target.address()
    discovery = {"nqn": OWN_NQN, "mdns": True, "referrals": [{"address": ELSEWHERE, "service": 8009, "port_id": 7}]}
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}], discovery=discovery))
    target.wait_until_said("start dbus and avahi-daemon")

    for options in ("", f"-n {OWN_NQN}"):
        found = initiator.discover(lab.host, address, options=options)
        ways = sorted((one["subnqn"], one["traddr"], one["trsvcid"], one["portid"]) for one in found)
        wanted = sorted([(OWN_NQN, address, "4420", 1), (daemon.NQN, address, "4420", 1), ("nqn.2014-08.org.nvmexpress.discovery", ELSEWHERE, "8009", 7)])
        lab.check(ways == wanted, f"nvme discover {options} shows {ways}, not {wanted}")

    lab.target.run("mkdir -p /run/dbus /run/avahi-daemon && dbus-daemon --system --fork && avahi-daemon --daemonize --no-chroot --no-drop-root")
    target.wait_until_said("announcing the discovery service", timeout_s=30)
    shown = lab.host.until("avahi-browse --resolve --parsable --terminate _nvme-disc._tcp | grep ^=").stdout
    for wanted in (address, ";4420;", "p=rdma", f"NQN={OWN_NQN}"):
        lab.check(wanted in shown, f"what is announced has no {wanted}: {shown}")

    lab.target.run("avahi-daemon --kill")
    target.wait_until_said("the Avahi daemon has ended")
