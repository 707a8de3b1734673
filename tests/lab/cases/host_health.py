"""Host reads the SMART log of a subsystem on an SSD, and gets the SSD's own figures; of one in memory, the target's counts; a temperature over the host's threshold is a warning, and so is what the SSD warns of."""

import json
import time

from nvmf_lab import One, Ssd, daemon, initiator

TOPOLOGY = One(ssds=[Ssd()])
TIME_LIMIT_S = 150

IN_MEMORY = "nqn.2026-01.io.example:memory"
FIGURES_WAIT_S = 25
OF_THE_SSD = ("temperature", "avail_spare", "spare_thresh", "percent_used", "data_units_read", "data_units_written", "host_read_commands", "host_write_commands", "power_cycles", "media_errors")
TEMPERATURE_WARNING = 2
READ_ONLY_WARNING = 8
TEMPERATURE_EVENT = 1 << 1


def test(lab):
    config = daemon.config(lab, [{"nvme": lab.target.generic(0)}])
    config["subsystems"].append({"nqn": IN_MEMORY, "allow_any_host": True, "namespaces": [{"memory": "16MiB"}]})
    daemon.start(lab, config)
    own = ssd_controller(lab)
    on_ssd = connect(lab, daemon.NQN)
    device = initiator.wait_for_namespaces(lab.host, on_ssd)[0]
    lab.host.run(f"dd if=/dev/zero of={device} bs=64k count=64 oflag=direct")
    lab.host.run(f"dd if={device} of=/dev/null bs=64k count=32 iflag=direct")
    check_same_figures(lab, own, on_ssd)
    check_counts_of_memory(lab)
    check_temperature_threshold(lab, on_ssd)
    check_warning_of_the_ssd(lab, on_ssd)


def connect(lab, nqn):
    return initiator.connect_controller(lab.host, lab.target.address(), nqn, options="-i 1")


def ssd_controller(lab):
    """The kernel's own name of the SSD's controller."""
    return lab.target.generic(0).replace("/dev/ng", "nvme").split("n1")[0]


def smart(lab, controller):
    """nvme-cli writes the counters of 16 bytes as text."""
    said = json.loads(lab.host.run(f"nvme smart-log /dev/{controller} -o json").stdout)
    return {key: int(value) if isinstance(value, str) and value.isdigit() else value for key, value in said.items()}


def check_same_figures(lab, own, ours):
    """The figures pass on within the target's interval."""
    deadline = time.monotonic() + FIGURES_WAIT_S * lab.host.patience
    while True:
        seen = {key: smart(lab, ours)[key] for key in OF_THE_SSD}
        wanted = {key: smart(lab, own)[key] for key in OF_THE_SSD}
        if seen == wanted:
            lab.check(seen["host_write_commands"] > 0 and seen["temperature"] > 0, f"the SSD has no figures: {seen}")
            return
        lab.check(time.monotonic() < deadline, f"the SSD says\n  {wanted}\nthe host sees\n  {seen}")
        time.sleep(0.5)


def check_counts_of_memory(lab):
    controller = connect(lab, IN_MEMORY)
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    before = smart(lab, controller)
    lab.host.run(f"dd if=/dev/zero of={device} bs=128k count=64 oflag=direct")
    after = smart(lab, controller)
    written = after["data_units_written"] - before["data_units_written"]
    lab.check(16 <= written <= 18, f"8 MiB were written, and the log says {written} thousand blocks of 512 bytes")
    lab.check(after["host_write_commands"] - before["host_write_commands"] >= 64, f"64 writes are not counted: {before} {after}")
    initiator.disconnect(lab.host, IN_MEMORY)


def check_temperature_threshold(lab, controller):
    lab.host.run(f"nvme set-feature /dev/{controller} -f 0x0b --value={TEMPERATURE_EVENT:#x}")
    lab.host.run(f"nvme set-feature /dev/{controller} -f 4 --value=0x0100")
    warned = warning(lab, controller)
    lab.check(warned == TEMPERATURE_WARNING, f"the temperature is over the threshold, and the warning is {warned}")


def check_warning_of_the_ssd(lab, controller):
    lab.target.qmp("qom-set", path="/machine/peripheral/ssd0", property="smart_critical_warning", value=READ_ONLY_WARNING)
    deadline = time.monotonic() + FIGURES_WAIT_S * lab.host.patience
    while not warning(lab, controller) & READ_ONLY_WARNING:
        lab.check(time.monotonic() < deadline, "the host does not see that the SSD warns of its medium")
        time.sleep(0.5)


def warning(lab, controller):
    said = smart(lab, controller)["critical_warning"]
    return said["value"] if isinstance(said, dict) else said
