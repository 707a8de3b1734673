"""Operator plugs and unplugs an SSD, adds namespaces whose files come later, by a reload too, while a host is connected: each is served when its device is there; the others never stop."""

import time

from nvmf_lab import One, Ssd, daemon, fio, initiator

# The SSD sits on a port from which it can be pulled.
PORT = ("-device", "pcie-root-port,id=port0,chassis=1,slot=1")
TOPOLOGY = One(ssds=[Ssd(cmb_mib=64, bus="port0")], qemu_args=PORT)
TIME_LIMIT_S = 200

FILE = "/srv/late/disk"
LATER = "/srv/later/disk"


def test(lab):
    generic = lab.target.generic()
    namespaces = [{"memory": "32MiB"}, {"nvme": generic, "p2p": "prefer"}, {"file": FILE}]
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
    lab.check("after a restart" in verdict, f"the daemon does not say why the SSD's CMB is not used: {verdict}")

    lab.check(load.running(), "I/O of the namespace that stayed failed meanwhile")
    load.finish()
    initiator.disconnect(lab.host, daemon.NQN)


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
