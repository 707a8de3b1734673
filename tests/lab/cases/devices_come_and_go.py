"""Operator plugs and unplugs SSDs, adds namespaces whose files come later, by a reload too, while a host is connected: each is served when its device is there; the others never stop. SSDs that change places are not mistaken for each other."""

import json
import time

from nvmf_lab import One, Ssd, daemon, fio, initiator

# The SSDs sit on ports from which they can be pulled.
PORTS = [word for i in range(3) for word in ("-device", f"pcie-root-port,id=port{i},chassis={i + 1},slot={i + 1}")]
TOPOLOGY = One(ssds=[Ssd(cmb_mib=64, bus="port0"), Ssd(bus="port1"), Ssd(bus="port2")], qemu_args=PORTS)
TIME_LIMIT_S = 260

FILE = "/srv/late/disk"
LATER = "/srv/later/disk"
NODES = "/dev/ng[012]n1"  # of the SSDs; the host, which is in the same guest, has /dev/ng3n1
UUID = "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21"


def test(lab):
    generic = lab.target.generic()
    namespaces = [{"memory": "32MiB"}, {"nvme": {"serial": "ssd0"}, "p2p": "prefer"}, {"file": FILE}]
    target = daemon.start(lab, daemon.config(lab, namespaces))
    lab.check(f"namespace 3 of {daemon.NQN} is not served" in target.output, "the daemon does not name the namespace without a device")
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options="-i 2")
    device = initiator.wait_for_namespaces(lab.host, controller, 2)[0]
    load = fio.Endless(lab.host, device)

    make(lab, FILE)
    seen(lab, controller, 3, "the new file")
    added_by_reload(lab, target, namespaces)
    make(lab, LATER)
    seen(lab, controller, 4, "the file of the namespace that was added")
    pull(lab, target, generic)
    seen(lab, controller, 3, "that the SSD is gone")
    lab.target.device_add("nvme", id="ssd0", drive="ssd0-disk", serial="ssd0", bus="port0", cmb_size_mb=64)
    again = seen(lab, controller, 4, "that the SSD is back")[1]
    fio.verify(lab.host, again, size_mib=4)
    verdict = target.namespace(2)["p2p"]["verdict"]
    lab.check("through the CMB" in verdict, f"the CMB of the SSD that is back is not used: {verdict}")

    change_places(lab, target, controller, namespaces)
    lab.check(load.running(), "I/O of the namespace that stayed failed meanwhile")
    load.finish()
    initiator.disconnect(lab.host, daemon.NQN)


def change_places(lab, target, controller, namespaces):
    """One SSD is named by its serial number, one by a path and with a UUID; then the kernel finds them in another order."""
    path = lab.target.generic(1)
    moved = {"nvme": path, "uuid": UUID, "p2p": "off"}
    target.reload(daemon.config(lab, [*namespaces, {"file": LATER}, moved]))
    seen(lab, controller, 5, "the SSD by its path")
    for number in range(3):
        lab.target.device_del(f"ssd{number}")
    lab.target.until(f"! ls {NODES} 2>/dev/null")
    seen(lab, controller, 3, "that the SSDs are gone")
    lab.target.until(f"! ls -l /proc/{target.pid}/fd | grep -qE '/dev/(ng|nvme)'")

    # The kernel numbers them as they come: ssd2 gets the path that ssd1 had.
    order = [1, 0]
    order.insert(int(path.removeprefix("/dev/ng").split("n")[0]), 2)
    for port, number in enumerate(order):
        lab.target.device_add("nvme", id=f"ssd{number}", drive=f"ssd{number}-disk", serial=f"ssd{number}", bus=f"port{port}")
        lab.target.until(f"[ $(ls {NODES} | wc -l) = {port + 1} ]")
    lab.check(lab.target.generic(2) == path, f"ssd2 is {lab.target.generic(2)}, not {path}")
    target.wait_until_said(f"namespace 5 of {daemon.NQN} is not served: the identifiers in the config were served from")
    seen(lab, controller, 4, "the SSD that is found by its serial number")
    lab.check("serial ssd0," in namespace(lab, 2)["device"], f"namespace 2 is not the SSD with serial number ssd0: {namespace(lab, 2)}")
    lab.check(f"run: nvmf-p2p accept {daemon.NQN} 5" in namespace(lab, 5)["reason"], f"it is not said what to do about the wrong SSD: {namespace(lab, 5)}")
    said = daemon.command(lab, f"accept {daemon.NQN} 5").stdout
    lab.check("accept the storage of namespace 5" in said, f"the wrong SSD is not accepted:\n{said}")
    seen(lab, controller, 5, "the SSD that the operator accepted")
    lab.check("serial ssd2," in namespace(lab, 5)["device"], f"namespace 5 is not the SSD that was accepted: {namespace(lab, 5)}")


def namespace(lab, nsid):
    return next(one for one in json.loads(lab.target.ask(daemon.ADMIN_SOCKET, "/v1/namespaces")) if one["nsid"] == nsid)


def make(lab, file):
    lab.target.run(f"mkdir -p {file.rsplit('/', 1)[0]}; truncate -s 16M /srv/disk; mv /srv/disk {file}")


def added_by_reload(lab, target, namespaces):
    """A namespace may be added before its device is there; the log, the answer and `status` say that it waits."""
    wanted = daemon.config(lab, [*namespaces, {"file": LATER}])
    waits = f"namespace 4 of {daemon.NQN} is not served: {LATER} does not exist; the namespace is served when it appears"
    said = target.reload(wanted)
    lab.check(": reloaded" in said and waits in said, f"the reload does not say that the namespace waits:\n{said}")
    said = daemon.command(lab, "reload").stdout
    lab.check(waits in said, f"the reload's answer does not say that the namespace waits:\n{said}")
    said = daemon.command(lab, "status").stdout
    lab.check("1 missing" in said, f"status does not say that a namespace is missing:\n{said}")
    said = daemon.command(lab, "namespaces").stdout
    lab.check(f"{LATER} does not exist" in said, f"namespaces does not say why one is missing:\n{said}")


def pull(lab, target, generic):
    lab.target.device_del("ssd0")
    lab.target.until(f"! [ -e {generic} ]")
    target.wait_until_said(f"{generic} has disappeared")


def seen(lab, controller, count, what):
    """Wait until the host has so many namespaces; says how long that took."""
    begin = time.monotonic()
    while len(devices := initiator.block_devices(lab.host, controller)) != count:
        if time.monotonic() - begin > 20 * lab.host.patience:
            lab.check(False, f"the host has {devices}, and does not see {what}")
        time.sleep(0.1)
    print(f"the host saw {what} after {time.monotonic() - begin:.1f} s")
    return devices
