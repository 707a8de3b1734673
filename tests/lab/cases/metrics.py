"""Host moves what fio says; Prometheus' text says the same by namespace and by host, also when the host has left; its checker has nothing against it, and admin commands and a refused host are in it. The page's report has the same by SSD, RNIC and host."""

import json
import re
import shutil
import subprocess

from nvmf_lab import ONE, daemon, fio, initiator
from nvmf_lab.qemu import REPOSITORY

TOPOLOGY = ONE
PORT = 9482
MIB = 1 << 20
OTHER = "nqn.2026-01.io.example:others"


def test(lab):
    namespaces = [{"nvme": lab.target.generic(0), "p2p": "require"}, {"memory": "16MiB"}]
    wanted = daemon.config(lab, namespaces, metrics={"address": "0.0.0.0", "port": PORT})
    wanted["subsystems"].append({"nqn": OTHER, "allowed_hosts": ["nqn.2026-01.io.example:nobody"]})
    target = daemon.start(lab, wanted)
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    devices = initiator.wait_for_namespaces(lab.host, controller, len(namespaces))
    lab.host.run("udevadm settle 2>/dev/null; sleep 0.5")  # whoever looks for partitions is done

    for nsid, path in ((1, "cmb"), (2, "dram")):
        moves(lab, nsid, devices[nsid - 1], path)
    fails(lab, devices[1])

    refused = lab.host.run(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {OTHER}", check=False)
    lab.check(refused.exit_code != 0, "a host that is not allowed was let in")
    text = scrape(lab)
    lab.check(value(text, "nvmf_connects_refused_total", reason="host_not_allowed") >= 1, "the refused host was not counted")
    lab.check(value(text, "nvmf_controllers", subsystem=daemon.NQN) == 1, "one host is connected")
    lab.check(value(text, "nvmf_cmb_bytes") >= 32 * MIB, "there is no CMB in the metrics")
    lab.check(value(text, "nvmf_reactor_cpu_seconds_total") > 0, "the reactor used no CPU")
    for command in ("identify", "set_features", "connect", "property_get"):
        lab.check(value(text, "nvmf_other_commands_total", thread="control", command=command, status="success") > 0, f"no {command} was counted")
    accepted_by_prometheus(lab, text)
    is_on_the_page(lab)
    outlives_the_connection(lab)
    target.check_alive()


def is_on_the_page(lab):
    """The way of the data: from the SSD's CMB and from memory through DRAM to the RNIC, and on to the host."""
    lab.host.run(f"curl -sSf http://{lab.target.address()}:{PORT}/ | grep -q '</html>'")
    page = json.loads(lab.host.run(f"curl -sSf http://{lab.target.address()}:{PORT}/page.json").stdout)
    storages = {one["name"]: one for one in page["storages"]}
    ssd, memory = storages[lab.target.pci_address(0)], storages["memory"]
    lab.check(ssd["provider"] == ssd["name"] and ssd["cmb_bytes"] >= 32 * MIB, f"the SSD has no CMB on the page: {ssd}")
    by_cmb, by_dram, hosts = ssd["on_rnics"][0], memory["on_rnics"][0], page["hosts"]
    lab.check(by_cmb["rdma_device"] == "rxe0" and min(by_cmb["cmb"][:2]) >= 4 * MIB and by_cmb["dram"] == [0, 0, 0], f"the SSD's data on the page: {ssd}")
    lab.check(by_dram["cmb"] == [0, 0, 0] and min(by_dram["dram"][:2]) >= 4 * MIB, f"the data of memory on the page: {memory}")
    lab.check([one["nqn"] for one in hosts] == [lab.host.read("/etc/nvme/hostnqn").strip()], f"the hosts on the page: {hosts}")
    of_host = hosts[0]["on_rnics"][0]
    lab.check(min(of_host["cmb"][:2]) >= 4 * MIB and min(of_host["dram"][:2]) >= 4 * MIB, f"the host's data on the page: {hosts}")
    lab.check(page["unready"] == [] and not [one for one in page["problems"] if one["weight"] == "fault"], f"the page shows faults: {page['problems']}")


def outlives_the_connection(lab):
    """What a host has moved stays counted when it leaves, and is added to when it comes again."""
    before = moved_by_host(lab)
    initiator.disconnect(lab.host, daemon.NQN)
    lab.check(moved_by_host(lab) == before, f"the host left, and what it moved is {moved_by_host(lab)} bytes, not {before}")
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    fio.run(lab.host, device, "--rw=read --bs=4k --size=1M")
    lab.check(moved_by_host(lab) >= before + MIB, "what the host moved when it came again was not added")


def moved_by_host(lab):
    return value(scrape(lab), "nvmf_host_data_bytes_total", host=lab.host.read("/etc/nvme/hostnqn").strip())


def moves(lab, nsid, device, path):
    """Reads and writes: commands, bytes by path, and the histograms' counts are fio's own."""
    for direction, bs in (("read", "4k"), ("write", "128k")):
        before = scrape(lab)
        done = fio.run(lab.host, device, f"--rw=rand{direction} --bs={bs} --iodepth=8 --size=4M")[direction]
        after = scrape(lab)
        what = f"{done.ios} {direction}s of {bs} of namespace {nsid}"

        def difference(name, **labels):
            return value(after, name, nsid=str(nsid), **labels) - value(before, name, nsid=str(nsid), **labels)

        lab.check(done.ios == 4 * MIB // (4096 if bs == "4k" else 128 << 10), f"fio did {what}")
        counted = {
            "commands": difference("nvmf_commands_total", command=direction),
            "in time, target": difference("nvmf_command_duration_seconds_count", operation=direction),
            "in time, device": difference("nvmf_device_duration_seconds_count", operation=direction),
        }
        lab.check(set(counted.values()) == {done.ios}, f"{what}: counted {counted}")
        moved = difference("nvmf_data_bytes_total", direction=direction, path=path)
        lab.check(moved == 4 * MIB and difference("nvmf_data_bytes_total") == moved, f"{what}: {moved} bytes through {path}")
        by_host = sum(value(text, "nvmf_host_data_commands_total", direction=direction, path=path) * sign for text, sign in ((after, 1), (before, -1)))
        lab.check(by_host == done.ios, f"{what}: {by_host} counted of the host")
        spent = difference("nvmf_command_duration_seconds_sum", operation=direction)
        # Memory answers a read at once, between two looks at the clock.
        at_once = path == "dram" and direction == "read"
        lab.check((spent > 0 or at_once) and spent / done.ios <= done.mean_us / 1e6, f"{what}: {spent} s in the target, {done.mean_us} us each at the host")
        if direction == "write":
            read_from_host = difference("nvmf_rdma_duration_seconds_count", direction="from_host")
            lab.check(read_from_host == done.ios, f"{what}: {read_from_host} RDMA READs were timed")


def fails(lab, device):
    """A command beyond the namespace's end is counted by its status."""
    before = scrape(lab)
    lab.host.run(f"nvme read {device} --start-block=0xffffff --block-count=0 --data-size=512", check=False)
    after = scrape(lab)
    failed = {"command": "read", "status": "lba_out_of_range"}
    lab.check(value(after, "nvmf_commands_total", **failed) == value(before, "nvmf_commands_total", **failed) + 1, "the failed read was not counted")


def scrape(lab):
    return lab.host.run(f"curl -sSf http://{lab.target.address()}:{PORT}/metrics").stdout


def value(text, name, **labels):
    """The sum of a metric's samples that have these labels."""
    total = 0.0
    for found in re.finditer(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE):
        has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1] or ""))
        if labels.items() <= has.items():
            total += float(found[2])
    return total


def accepted_by_prometheus(lab, text):
    promtool = shutil.which("promtool") or shutil.which(str(REPOSITORY / "build/promtool/promtool"))
    if promtool is None:
        print("promtool is not here, so it was not asked: tests/metrics/fetch_promtool gets it")
        return
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lab.check(checked.returncode == 0 and not checked.stdout.strip(), f"promtool: {checked.stdout}")
