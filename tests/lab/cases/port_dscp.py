"""Host connects to a port with a DSCP; every packet of the target's queue pairs carries it, the host's own do not; a reload takes it off new connections."""

from nvmf_lab import TWO, daemon, initiator
from nvmf_lab.programs import output_of

TOPOLOGY = TWO

DSCP = 26  # AF31
# Queue pair 1 is the connection manager's, which the kernel marks by itself.
OF_QUEUES = "udp.dstport == 4791 && infiniband.bth.destqp != 1"


def test(lab):
    port = {"id": 1, "address": lab.target.address()}
    marked = daemon.config(lab, [{"memory": "16MiB"}], ports=[{**port, "dscp": DSCP}])
    target = daemon.start(lab, marked)
    ours, theirs = traffic(lab, "marked.pcap")
    lab.check(set(ours) == {str(DSCP)}, f"packets of the target carry DSCP {sorted(set(ours))}, not {DSCP} alone")
    lab.check(str(DSCP) not in theirs, f"packets of the host carry DSCP {sorted(set(theirs))}")

    said = target.reload(daemon.config(lab, [{"memory": "16MiB"}], ports=[port]))
    lab.check("reload: change port 1" in said, f"the daemon does not say that the port changes:\n{said}")
    ours, _ = traffic(lab, "unmarked.pcap")
    lab.check(set(ours) == {"0"}, f"packets of the target carry DSCP {sorted(set(ours))}, though none is asked for")


def traffic(lab, name):
    """Connect, read, write and disconnect; the DSCP of each packet of the target, and of the host."""
    capture = lab.host.start(f"exec tcpdump -i eth0 -s 128 -U -w /results/{name} udp port 4791")
    lab.host.until(f"[ -s /results/{name} ]")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, options="-i 1")
    lab.host.run(f"dd if=/dev/zero of={device} bs=64k count=8 oflag=direct status=none; dd if={device} of=/dev/null bs=64k count=8 iflag=direct status=none")
    initiator.disconnect(lab.host, daemon.NQN)
    capture.stop()
    return tuple(dscp_of(lab, name, guest.address()) for guest in (lab.target, lab.host))


def dscp_of(lab, name, source):
    shown = output_of(
        *("tshark", "-n", "-r", str(lab.host.result_file(name))),
        *("-Y", f"ip.src == {source} && {OF_QUEUES}", "-T", "fields", "-e", "ip.dsfield.dscp"),
    ).split()
    lab.check(len(shown) > 20, f"{name} has {len(shown)} packets of {source}: was the traffic captured?")
    return shown
