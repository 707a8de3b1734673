"""Host runs each command of nvme-cli against the kernel's target and against ours; both behave alike. What only reads works here wherever it works there."""

import json

from nvmf_lab import TWO, daemon, initiator, nvmet

TOPOLOGY = TWO
TIME_LIMIT_S = 240

KERNEL_PORT, OUR_PORT = 4421, 4420
SAME_IN_DISCOVERY = ("trtype", "adrfam", "subtype", "trsvcid", "traddr", "rdma_prtype", "rdma_qptype", "rdma_cms")
SAME_IN_ID_CTRL = ("sqes", "cqes", "icdoff", "iorcsz", "cntrltype")
SAME_IN_ID_NS = ("nsze", "ncap", "nuse", "flbas", "mc", "dpc", "dps", "nlbaf")
# Subcommands that only read, of the controller (a file of /dev/nvmeX) and of the namespace. OURS: this target has what they read.
OURS = (
    "id-ctrl {controller}", "id-ns {device}", "list-ns {controller}", "list-ctrl {controller}", "nvm-id-ctrl {controller}", "nvm-id-ns {device}",
    "ns-descs {device}", "id-iocs {controller}", "get-ns-id {device}", "fw-log {controller}", "changed-ns-list-log {controller}",
    "smart-log {controller}", "ana-log {controller}", "error-log {controller}", "effects-log {controller}", "resv-notif-log {controller}",
    "persistent-event-log {controller} -a 1 -l 512", "persistent-event-log {controller} -a 0 -l 512", "persistent-event-log {controller} -a 2 -l 0",
    "supported-log-pages {controller}", "fid-support-effects-log {controller}", "mi-cmd-support-effects-log {controller}",
    "resv-report {device} --eds", "get-log {controller} -i 2 -l 512",
)  # fmt: skip
FEATURES = tuple(f"get-feature {{controller}} -f {fid}" for fid in (1, 2, 4, 6, 7, 0xA, 0xB, 0xF)) + tuple(
    f"get-feature {{device}} -n 1 -f {fid}" for fid in (5, 0x82, 0x83, 0x84)
)
# Not "list-endgrp" and "endurance-log": the kernel's target has an endurance group, this one has none.
OTHERS = (
    "id-ns-granularity {controller}", "id-ns-lba-format {controller}", "nvm-id-ns-lba-format {controller}", "primary-ctrl-caps {controller}",
    "list-secondary {controller}", "id-nvmset {controller}", "id-uuid {controller}", "id-domain {controller}", "show-regs {controller}",
    "cmdset-ind-id-ns {device}", "telemetry-log {controller} -o /tmp/telemetry", "predictable-lat-log {controller} -i 1", "lba-status-log {controller}",
    "pred-lat-event-agg-log {controller}", "endurance-event-agg-log {controller}", "boot-part-log {controller} -f /tmp/boot", "self-test-log {controller}",
    "media-unit-stat-log {controller}", "supported-cap-config-log {controller}", "get-lba-status {device} -s 0 -m 8 -a 16", "sanitize-log {controller}",
    *(f"get-feature {{controller}} -f {fid}" for fid in (*range(8, 0xA), *range(0xC, 0xF), *range(0x10, 0x1E), 0x80, 0x81)),
)  # fmt: skip
SGLS_KEYED_AND_IN_CAPSULE_OFFSET = 1 << 2 | 1 << 20


def test(lab):
    kernel_target = nvmet.start(lab.target, device=lab.target.ssd(0), port=KERNEL_PORT)
    daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(1)}]))
    lab.host.modprobe("nvme_rdma")
    theirs = Subject(lab, kernel_target.nqn, KERNEL_PORT)
    ours = Subject(lab, daemon.NQN, OUR_PORT)

    for step in (discover, connect, listed, list_subsys, id_ctrl, id_ns, disconnect, connect_all, disconnect):
        wanted, got = step(theirs), step(ours)
        lab.check(got == wanted, f"{step.__name__}: the kernel's target gives\n  {wanted}\nours gives\n  {got}")
        if step is id_ns:
            reading(lab, theirs, ours)


def reading(lab, theirs, ours):
    """Each subcommand against both targets, in two runs of a shell."""
    there, here = exit_codes(theirs), exit_codes(ours)
    failed = [words for words, code in here.items() if code != 0 and (there[words] == 0 or words not in OTHERS)]
    told = [f"nvme {words}: {here[words]}, the kernel's target: {there[words]}" for words in failed]
    lab.check(not failed, "subcommands that should work do not:\n  " + "\n  ".join(told))
    print(f"of {len(here)} reading subcommands {list(there.values()).count(0)} work with the kernel's target, {list(here.values()).count(0)} with ours")


def exit_codes(subject):
    places = {"controller": f"/dev/{subject.controller}", "device": subject.block_device}
    commands = [*OURS, *FEATURES, *OTHERS]
    shell = "".join(f"nvme {words.format(**places)} >/dev/null 2>&1; echo $?\n" for words in commands)
    return dict(zip(commands, map(int, subject.host.run(shell, timeout_s=180).stdout.split())))


class Subject:
    """One target as the host sees it; names that may differ are replaced."""

    def __init__(self, lab, nqn, port):
        self.lab, self.host, self.nqn, self.port = lab, lab.host, nqn, port
        self.where = f"-t rdma -a {lab.target.address()} -s {port}"
        self.controller = ""

    def nvme(self, words):
        return self.host.run(f"nvme {words}").stdout

    def json(self, words):
        return json.loads(self.nvme(f"{words} -o json"))

    @property
    def block_device(self):
        return initiator.wait_for_namespaces(self.host, self.controller)[0]

    def anonymous(self, text):
        for own, name in ((self.nqn, "NQN"), (str(self.port), "PORT"), (self.controller, "CONTROLLER")):
            text = text.replace(own, name) if own else text
        return text


def discover(subject):
    records = subject.json(f"discover {subject.where}")["records"]
    wanted = [record for record in records if record["subnqn"] == subject.nqn]
    return [subject.anonymous(json.dumps({key: record[key] for key in SAME_IN_DISCOVERY})) for record in wanted]


def connect(subject):
    subject.controller = subject.json(f"connect {subject.where} -n {subject.nqn}")["device"]
    again = subject.host.run(f"nvme connect {subject.where} -n {subject.nqn}", check=False)
    return again.exit_code != 0, subject.anonymous(again.stderr), subject.host.read(f"/sys/class/nvme/{subject.controller}/state")


def listed(subject):
    devices = {one["DevicePath"]: one for one in subject.json("list")["Devices"]}
    mine = devices[subject.block_device]
    return {key: mine[key] for key in ("PhysicalSize", "SectorSize", "MaximumLBA", "NameSpace") if key in mine}


def list_subsys(subject):
    """Its one path, as `nvme list-subsys` shows it."""
    hosts = subject.json("list-subsys")
    subsystems = [one for host in (hosts if isinstance(hosts, list) else [hosts]) for one in host["Subsystems"]]
    paths = [path for one in subsystems if one["NQN"] == subject.nqn for path in one["Paths"]]
    return [subject.anonymous(json.dumps(path)) for path in paths]


def id_ctrl(subject):
    said = subject.json(f"id-ctrl /dev/{subject.controller}")
    subject.lab.check(said["subnqn"] == subject.nqn, f"SUBNQN is {said['subnqn']}")
    subject.lab.check(said["ioccsz"] >= 4, f"IOCCSZ is {said['ioccsz']}")
    subject.lab.check(said["kas"] > 0 and said["maxcmd"] > 0 and said["sn"].strip() and said["mn"].strip(), "KAS, MAXCMD, SN or MN is empty")
    return {key: said[key] for key in SAME_IN_ID_CTRL} | {"sgls": said["sgls"] & SGLS_KEYED_AND_IN_CAPSULE_OFFSET}


def id_ns(subject):
    said = subject.json(f"id-ns {subject.block_device}")
    subject.lab.check(any(int(str(said[name]), 16) for name in ("nguid", "eui64")) or _has_uuid(subject), "the namespace has no identifier")
    return {key: said[key] for key in SAME_IN_ID_NS} | {"block": said["lbafs"][said["flbas"] & 0xF]["ds"]}


def _has_uuid(subject):
    return "uuid" in subject.nvme(f"ns-descs {subject.block_device}")


def disconnect(subject):
    said = subject.anonymous(subject.nvme(f"disconnect -n {subject.nqn}"))
    return said, initiator.controllers(subject.host, subject.nqn)


def connect_all(subject):
    subject.nvme(f"connect-all {subject.where}")
    found = initiator.controllers(subject.host, subject.nqn)
    subject.controller = next(iter(found), "")
    return list(found.values()), bool(initiator.wait_for_namespaces(subject.host, subject.controller))
