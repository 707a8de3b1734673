"""Host has a way through an RNIC that reaches the SSD's CMB, and one through an RNIC that does not: with "ana": "by_topology" it prefers the first, as long as it is there, and its data goes through the CMB. RNIC and SSD come and go under verified load; the host's sysfs shows each state."""

import time

from nvmf_lab import Ssd, Two, daemon, fio, initiator

# SSD and NICs each below a root port of its own; the SSD can be pulled from its.
PORTS = [word for i in range(3) for word in ("-device", f"pcie-root-port,id=port{i},chassis={i + 1},slot={i + 1}")]
TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64, bus="port0")], links=2, qemu_args=PORTS, nic_buses=("port1", "port2"))
TIME_LIMIT_S = 240

OPTIONS = "-i 2 -k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
WAIT_S = 40
RATE_IOPS = 100  # in each direction
OF_SSD, OF_MEMORY = 1, 2  # NSIDs
OPTIMIZED, NON_OPTIMIZED = "optimized", "non-optimized"


def test(lab):
    # Soft-RoCE has no place on PCI Express: what it cannot prove is a CMB at a path MTU of 1024 (p2p_small_mtu).
    for guest in (lab.target, lab.host):
        guest.run("ip link set eth1 mtu 1500")
    lab.target.run("rdma link delete rxe0")
    ports = [{"id": link + 1, "address": lab.target.address(link)} for link in (0, 1)]
    subsystem = {"nqn": daemon.NQN, "allow_any_host": True, "ana": "by_topology", "namespaces": [{"nvme": {"serial": "ssd0"}}, {"memory": "32MiB"}]}
    wanted = daemon.config(lab, [], ports=ports, subsystems=[subsystem])
    target = daemon.start(lab, wanted)
    far = connect(lab, 1)
    wait_for(lab, {far: {OF_SSD: OPTIMIZED, OF_MEMORY: OPTIMIZED}}, "no port reaches the CMB")

    lab.target.run("rdma link add rxe0 type rxe netdev eth0")
    target.wait_until_listening(2)
    near = connect(lab, 0)
    as_preferred = {near: {OF_SSD: OPTIMIZED, OF_MEMORY: OPTIMIZED}, far: {OF_SSD: NON_OPTIMIZED, OF_MEMORY: OPTIMIZED}}
    wait_for(lab, as_preferred, "the RNIC that reaches the CMB has come, and was proved")
    shown = daemon.command(lab, "ana").stdout
    lab.check(shown.count(NON_OPTIMIZED) == 1, f"nvmf-p2p ana shows other states:\n{shown}")

    load = fio.Load(lab.host, disk(lab, near), rate_iops=RATE_IOPS)
    goes_through_the_cmb(lab, target)
    lab.target.run("rdma link delete rxe0", timeout_s=60)
    wait_for(lab, {far: {OF_SSD: OPTIMIZED, OF_MEMORY: OPTIMIZED}}, "the RNIC that reaches the CMB is gone")
    lab.target.run("rdma link add rxe0 type rxe netdev eth0")
    lab.host.until(f"grep -qx live /sys/class/nvme/{near}/state", timeout_s=WAIT_S)
    wait_for(lab, as_preferred, "the RNIC that reaches the CMB is back")
    goes_through_the_cmb(lab, target)
    lab.check(load.running(), f"the load ended while an RNIC went and came: {load.story()}")
    load.stop()

    lab.target.device_del("ssd0")
    wait_for(lab, {way: {OF_MEMORY: OPTIMIZED} for way in (near, far)}, "the SSD is gone")
    lab.target.device_add("nvme", id="ssd0", drive="ssd0-disk", serial="ssd0", bus="port0", cmb_size_mb=64)
    wait_for(lab, as_preferred, "the SSD is back")
    target.reload({**wanted, "subsystems": [{key: value for key, value in subsystem.items() if key != "ana"}]})
    wait_for(lab, {way: {OF_SSD: OPTIMIZED, OF_MEMORY: OPTIMIZED} for way in (near, far)}, 'the config says nothing of "ana" any more')


def connect(lab, link):
    controller = initiator.connect_controller(lab.host, lab.target.address(link), daemon.NQN, options=OPTIONS)
    initiator.wait_for_namespaces(lab.host, controller, 2)
    return controller


def disk(lab, controller):
    """Of the SSD, which may be any of the controller's block devices."""
    return initiator.wait_for_namespaces(lab.host, controller, 2)[0]


def states(lab, controller):
    """The state of each namespace's path, by NSID, as the host's kernel shows it."""
    paths = f"/sys/class/nvme/{controller}/nvme*c*n*"
    nsids, shown = lab.host.texts(f"{paths}/nsid"), lab.host.texts(f"{paths}/ana_state")
    return {int(nsid): shown.get(path.replace("/nsid", "/ana_state"), "") for path, nsid in nsids.items()}


def wait_for(lab, wanted, when):
    deadline = time.monotonic() + WAIT_S * lab.host.patience
    while (shown := {way: states(lab, way) for way in wanted}) != wanted:
        lab.check(time.monotonic() < deadline, f"when {when}, the host shows {shown}, not {wanted}")
        time.sleep(0.2)


def goes_through_the_cmb(lab, target):
    """What the host sends by the other way goes through DRAM."""
    deadline = time.monotonic() + WAIT_S * lab.host.patience
    before = moved(target)
    while (now := moved(target))["cmb"] < before["cmb"] + 50:
        lab.check(time.monotonic() < deadline, f"hardly any command goes through the CMB alone: {now}, before {before}")
        if now["dram"] != before["dram"]:
            before = now
        time.sleep(0.2)


def moved(target):
    shown = target.namespace(OF_SSD)
    return {path: shown["reads"][path]["commands"] + shown["writes"][path]["commands"] for path in ("cmb", "dram")}
