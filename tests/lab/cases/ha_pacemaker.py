"""Two machines with Pacemaker and DRBD, set up as docker/ha/README.md says, serve a host's disk: one is put on standby, the power of the other is cut. Verified I/O never fails, nothing is lost that was acknowledged, the reservation stays; the case prints the longest time without an answer."""

import concurrent.futures
import json
import pathlib
import re
import threading
import time

from nvmf_lab import Machine, Ssd, Three, daemon, fio, initiator
from nvmf_lab.qemu import REPOSITORY

PACKAGES = ("pacemaker", "corosync", "crmsh", "drbd-utils", "resource-agents", "fdisk")
# The cluster's programs give each other a few seconds to answer, which an emulated CPU does not keep.
TOPOLOGY = Three(ssds=[Ssd(size_mib=640)], links=2, systemd=True, packages=PACKAGES, slow_clock=4, host=Machine(slow_clock=4))
ALONE = True  # its gaps would be another case's doing beside one
THOROUGH = True
TIME_LIMIT_S = 1800

GUIDE = REPOSITORY / "docker/ha/README.md"
GAPS = pathlib.Path(__file__).resolve().parent.parent / "inside/gaps.py"
NODES = ("target", "partner")
NQN = "nqn.2026-01.io.example:replicated"
ADDRESS = "10.77.0.10"
STATE = "/srv/nvmf-p2p-state"
HOST_OPTIONS = "--reconnect-delay=2 --ctrl-loss-tmo=-1"  # the guide's
LEAST_GAP_S = 0.5
CLUSTER_WAIT_S = 300
WRITE_EXCLUSIVE = 1
REGISTER, ACQUIRE, PERSIST = 0, 0, 3
KEY = "a11ce"
DATA_MIB = 96

COROSYNC = """\
totem {
  version: 2
  cluster_name: lab
}
quorum {
  provider: corosync_votequorum
  two_node: 1
}
nodelist {
  node {
    name: target
    nodeid: 1
    ring0_addr: 10.77.1.1
  }
  node {
    name: partner
    nodeid: 2
    ring0_addr: 10.77.1.3
  }
}
logging {
  to_logfile: yes
  logfile: /results/corosync.%s.log
  timestamp: on
}
"""

# A power switch: whoever puts NAME.off into /results/power finds NAME.done there once that machine has no power.
FENCE_LAB = """\
#!/bin/sh
while IFS== read -r name value; do
  case $name in action) action=$value ;; nodename) node=$value ;; esac
done
case $action in
  off)
    echo "$node" >"/results/power/$node.off"
    until [ -e "/results/power/$node.done" ]; do sleep 0.1; done ;;
  metadata)
    cat <<END
<?xml version="1.0"?>
<resource-agent name="fence_lab" shortdesc="the lab's power switch">
<longdesc>Cuts the power of a guest.</longdesc>
<parameters><parameter name="nodename" required="0"><content type="string"/><shortdesc lang="en">machine</shortdesc></parameter></parameters>
<actions><action name="off"/><action name="monitor"/><action name="status"/><action name="metadata"/></actions>
</resource-agent>
END
    ;;
esac
"""

STONITH = """\
property stonith-enabled=true stonith-action=off
primitive fence-target stonith:fence_lab params pcmk_host_list=target op monitor interval=0
primitive fence-partner stonith:fence_lab params pcmk_host_list=partner op monitor interval=0
location fence-target-elsewhere fence-target -inf: target
location fence-partner-elsewhere fence-partner -inf: partner
"""


def test(lab):
    switch = PowerSwitch(lab)
    on_both(lambda name: prepare(lab, name))
    make_storage(lab)
    begin = time.monotonic()
    start_cluster(lab)
    configure(lab)
    active = wait_for_active(lab, NODES)
    print(f"the cluster serves on {active} after {time.monotonic() - begin:.0f} s")
    client = Client(lab)
    standby(lab, client, active)
    power_cut(lab, client, switch, other(active))
    client.end()


def standby(lab, client, active):
    """`crm node standby` of the machine that serves, and back."""
    client.begin("crm node standby")
    said = lab.guests[active].run(f"crm node standby {active} 2>&1", timeout_s=CLUSTER_WAIT_S).stdout
    lab.check("WARNING" not in said, f"the cluster's shell does not put {active} on standby: {said}")
    wait_for_active(lab, [other(active)])
    client.survived(other(active))
    lab.guests[active].run(f"crm node online {active}", timeout_s=CLUSTER_WAIT_S)
    wait_until_in_sync(lab, other(active))


def power_cut(lab, client, switch, active):
    """Of the machine that serves: the cluster finds out, has it fenced, and the other one takes over."""
    client.begin("power cut")
    lab.guests[active].kill()
    wait_for_active(lab, [other(active)])
    lab.check(active in switch.asked, "the other machine took over, and did not have this one fenced")
    client.survived(other(active))
    switch.forget(active)
    lab.restart(active)
    prepare(lab, active)
    start_node(lab, active)
    wait_until_in_sync(lab, other(active))
    client.survived(other(active))


class Client:
    """The host: a load that is verified, data from before, a reservation, and a watch on the gaps."""

    def __init__(self, lab):
        self.lab = lab
        self.controller = initiator.connect_controller(lab.host, ADDRESS, NQN, options=HOST_OPTIONS)
        self.device = initiator.wait_for_namespaces(lab.host, self.controller)[0]
        lab.host.run(f"nvme resv-register {self.device} --nrkey=0x{KEY} --rrega={REGISTER} --cptpl={PERSIST}")
        lab.host.run(f"nvme resv-acquire {self.device} --crkey=0x{KEY} --rtype={WRITE_EXCLUSIVE} --racqa={ACQUIRE}")
        self.load = fio.Endless(lab.host, self.device)
        self.watch = lab.host.start(f"exec python3 -I -S {GAPS} {self.device.removeprefix('/dev/')} {LEAST_GAP_S}")

    def begin(self, fault):
        self.fault = fault
        self.lab.host.run("sleep 3")
        self.known_data("--do_verify=0")
        self.seen = len(self.watch.stdout)

    def known_data(self, how):
        """4 MiB behind what the load uses: written before a fault, compared after it."""
        fio.run(self.lab.host, self.device, f"--rw=write --bs=64k --iodepth=4 --offset=32M --size=4M --verify=crc32c --verify_fatal=1 {how}")

    def survived(self, active):
        host = self.lab.host
        host.until(f"grep -qx live /sys/class/nvme/{self.controller}/state", timeout_s=CLUSTER_WAIT_S)
        self.known_data("--verify_only")
        self.lab.check(self.load.running(), f"the host's I/O failed after {self.fault}")
        gaps = [float(line.split()[1]) for line in self.watch.stdout[self.seen :].splitlines()]
        print(f"{self.fault}: longest time without an answer {max(gaps, default=0):.1f} s, all gaps {gaps}")
        self.seen = len(self.watch.stdout)
        self.check_reservation(active)

    def check_reservation(self, active):
        report = json.loads(self.lab.host.run(f"nvme resv-report {self.device} --eds -o json").stdout)
        holders = [one["rkey"] for one in report["regctlext"] if one["rcsts"] == 1]
        self.lab.check(report["rtype"] == WRITE_EXCLUSIVE and holders == [int(KEY, 16)], f"after {self.fault} the reservation is not held: {report}")
        said = self.lab.guests[active].run("nvmf-p2p reservations").stdout
        self.lab.check(f"0x{KEY}" in said, f"after {self.fault} the operator sees no reservation: {said}")
        self.check_stranger(self.lab.guests[active])

    def check_stranger(self, guest):
        """Another host, on the machine that serves: it reads, and may not write."""
        controller = initiator.connect_controller(guest, ADDRESS, NQN)
        device = initiator.wait_for_namespaces(guest, controller)[0]
        said = guest.run(f"dd if=/dev/zero of={device} bs=4k count=1 seek=16384 oflag=direct status=none", check=False)
        guest.run(f"dd if={device} of=/dev/null bs=4k count=1 iflag=direct status=none")
        initiator.disconnect(guest, NQN)
        self.lab.check(said.exit_code and "Invalid exchange" in said.stderr, f"after {self.fault} another host writes what is reserved: {said}")

    def end(self):
        self.watch.stop()
        self.load.finish()
        shown = initiator.controllers(self.lab.host, NQN)
        self.lab.check(shown == {self.controller: "live"}, f"the host has lost its controller, or has another: {shown}")
        initiator.disconnect(self.lab.host, NQN)


class PowerSwitch:
    """Cuts the power of a guest for whoever asks; see FENCE_LAB."""

    def __init__(self, lab):
        self.lab, self.asked = lab, set()
        self.folder = lab.out / "power"
        self.folder.mkdir()
        threading.Thread(target=self.serve, name="power switch", daemon=True).start()

    def serve(self):
        while True:
            for wish in self.folder.glob("*.off"):
                self.lab.guests[wish.stem].kill()
                self.asked.add(wish.stem)
                wish.rename(wish.with_suffix(".done"))
            time.sleep(0.1)

    def forget(self, name):
        (self.folder / f"{name}.done").unlink()


def prepare(lab, name):
    """What the packages' scripts and an operator do on a machine before its cluster starts."""
    guest = lab.guests[name]
    guest.until("systemctl is-active basic.target", timeout_s=60)
    guest.write("/usr/sbin/fence_lab", FENCE_LAB)
    guest.write("/etc/corosync/corosync.conf", COROSYNC % name)
    guest.write("/etc/default/pacemaker", f"PCMK_logfile=/results/pacemaker.{name}.log\n")
    guest.write("/etc/drbd.d/nvmf.res", for_lab(block_of_guide("resource nvmf")))
    guest.write("/etc/nvmf-p2p/config.json", target_config(lab, name))
    guest.run(f"""set -e
groupadd --system haclient; useradd --system -g haclient -d /var/lib/pacemaker -M hacluster
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker; mkdir -p /var/lib/corosync /var/log/corosync /var/log/crmsh
ln -s {REPOSITORY}/docker/systemd/sysusers.conf /usr/lib/sysusers.d/nvmf-p2p.conf; systemd-sysusers nvmf-p2p.conf
cp {daemon.stage(lab)} /usr/bin/nvmf-p2p; chmod 755 /usr/bin/nvmf-p2p /usr/sbin/fence_lab
cp {REPOSITORY}/docker/systemd/nvmf-p2p.service /etc/systemd/system/
mkdir -p /usr/lib/ocf/resource.d/nvmf-p2p; cp {REPOSITORY}/docker/ha/nvmf-p2p /usr/lib/ocf/resource.d/nvmf-p2p/
printf '10.77.1.1 target\\n10.77.1.3 partner\\n' >>/etc/hosts; mkdir -p {STATE}
systemd-tmpfiles --create drbd.conf resource-agents.conf
systemctl daemon-reload
modprobe -a drbd xfs nvme_rdma""", timeout_s=90)
    guest.start(f"exec journalctl -f -o short-precise >/results/journal.{name}.log")


def make_storage(lab):
    new = f"echo -e ',{DATA_MIB}M\\n,' | sfdisk -q %s && udevadm settle && drbdadm create-md --force nvmf && drbdadm up nvmf"
    on_both(lambda name: lab.guests[name].run(new % lab.guests[name].ssd()))
    first = lab.guests[NODES[0]]
    first.until("drbdadm cstate nvmf | grep -c Connected | grep -qx 2")
    first.run(f"""set -e
for volume in 0 1; do drbdadm -- --clear-bitmap new-current-uuid nvmf/$volume; done  # both disks are new and alike
drbdadm primary nvmf
mkfs.xfs -q /dev/drbd1
mount /dev/drbd1 {STATE}; chown nvmf-p2p: {STATE}; umount {STATE}
drbdadm secondary nvmf""")
    on_both(lambda name: lab.guests[name].run("cat /proc/drbd; drbdadm down nvmf"))


def start_cluster(lab):
    on_both(lambda name: start_node(lab, name))
    on_both(lambda name: lab.guests[name].until("crm_mon -1 | grep -E 'Online: .*(target.*partner|partner.*target)'", timeout_s=CLUSTER_WAIT_S, every_s=2))


def start_node(lab, name):
    lab.guests[name].run("systemctl start corosync pacemaker", timeout_s=CLUSTER_WAIT_S)


def configure(lab):
    first = lab.guests[NODES[0]]
    first.write("/run/cluster.crm", STONITH + for_lab(block_of_guide("primitive drbd")))
    first.run("crm configure load update /run/cluster.crm && crm configure show", timeout_s=CLUSTER_WAIT_S)


def wait_for_active(lab, candidates):
    """Until the resource is promoted on one of these machines; the agent's own note is asked first, for it costs no CPU time."""
    deadline = time.monotonic() + CLUSTER_WAIT_S * lab.host.patience
    while True:
        for name in candidates:
            if "promoted" in lab.guests[name].texts("/run/resource-agents/nvmf-p2p-target*.role").values():
                lab.guests[name].until(f"crm_resource --locate -r target-clone | grep -E 'running on: {name} (Promoted|Master)'", timeout_s=CLUSTER_WAIT_S, every_s=2)
                return name
        lab.check(time.monotonic() < deadline, f"no machine of {candidates} took over:\n" + lab.guests[candidates[0]].run("crm_mon -1 -r -f", check=False).stdout)
        time.sleep(0.5)


def wait_until_in_sync(lab, active):
    lab.guests[active].until("[ $(grep -c 'cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate' /proc/drbd) = 2 ]", timeout_s=CLUSTER_WAIT_S, every_s=1)
    lab.guests[active].until(f"crm_resource --locate -r target-clone | grep -q 'running on: {other(active)}'", timeout_s=CLUSTER_WAIT_S, every_s=1)


def on_both(step):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(step, NODES))


def other(name):
    return NODES[1 - NODES.index(name)]


def block_of_guide(begin):
    """The block of the guide that begins with these words, or with «{»."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(begin)]
    return block


def for_lab(text):
    """The guide's names and addresses, in the lab's words."""
    for theirs, ours in (
        ("on one ", "on target "),
        ("on two ", "on partner "),
        ("198.51.100.1:", "10.77.1.1:"),
        ("198.51.100.2:", "10.77.1.3:"),
        ("192.0.2.10", ADDRESS),
    ):
        text = text.replace(theirs, ours)
    return text


def target_config(lab, name):
    config = json.loads(for_lab(block_of_guide("{")))
    config["log_level"] = "debug"
    (subsystem,) = config["subsystems"]
    subsystem["allowed_hosts"] = [guest.read("/etc/nvme/hostnqn").strip() for guest in lab.guests.values()]
    if name == NODES[1]:
        subsystem.update(cntlid_min=32001, cntlid_max=64000)
    return json.dumps(config, indent=2) + "\n"
