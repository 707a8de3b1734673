"""The kernel's host authenticates (DH-HMAC-CHAP): every hash and group, one-way and mutual; wrong keys are refused, with --thorough also by the kernel's own target, in the same way; it authenticates again by itself after a lost connection and a lost path, and when it is told to; keys are changed under I/O without an error; what is served is told to no host without a key; a storm of hosts that authenticate delays no other host's keep-alive."""

import json
import re
import time

from nvmf_lab import TWO, daemon, fio, initiator, nvmet
from nvmf_lab.errors import CaseFailed

TOPOLOGY = TWO
TIME_LIMIT_S = 480

HOST = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
KEYS = "/tmp/keys"
STORM = "nqn.2026-01.io.example:storm"
STORM_PROCESSES = 4
KERNEL, KERNEL_PORT = "nqn.2025-01.org.example:kernel", 4421
# Each hash, then each group; mutual where it is True.
CHOICES = [("sha256", "null", True), ("sha384", "null", False), ("sha512", "ffdhe2048", True)] + [
    ("sha256", f"ffdhe{bits}", bits == 8192) for bits in (3072, 4096, 6144, 8192)
]


def test(lab):
    lab.host.modprobe("nvme_rdma")
    # It lists the options that it was built with.
    if "dhchap_secret=" not in lab.host.run("cat /dev/nvme-fabrics").stdout:
        lab.skip("the host's kernel cannot authenticate: it was built without CONFIG_NVME_HOST_AUTH")
    keys = {name: make_key(lab, name, hmac) for hmac, name in enumerate(("first", "second", "controller", "stranger"))}
    target = daemon.start(lab, config(lab, host("first")))

    discovery(lab, target, keys)
    hashes_and_groups(lab, target, keys)
    wrong_keys(lab, target, keys)
    controller = again_by_itself(lab, target, keys)
    new_key_under_load(lab, target, keys, controller)
    initiator.disconnect(lab.host, daemon.NQN)
    storm(lab, target, keys)
    if lab.options.thorough:
        refused_by_the_kernel(lab, target, keys)
    told = target.output + lab.target.ask(daemon.ADMIN_SOCKET, "/v1/config") + lab.target.ask(daemon.ADMIN_SOCKET, "/v1/connections")
    lab.check(not any(secret[11:40] in told for secret in keys.values()), "the daemon has told a key")


def discovery(lab, target, keys):
    """What is served here is told to hosts that authenticate, and to nobody else. The kernel is asked without nvme-cli, which passes no key on for discovery (2.3)."""
    host_id = f"hostnqn={HOST},hostid={HOST.split(':')[-1]}"
    asked = f"nqn={daemon.DISCOVERY_NQN},transport=rdma,traddr={lab.target.address()},trsvcid=4420,{host_id}"
    connect_by_kernel = "exec 3<>/dev/nvme-fabrics; echo -n '{}' >&3 && head -n 1 <&3"
    refused = lab.host.run(connect_by_kernel.format(asked), check=False)
    lab.check(refused.exit_code != 0, f"a host without a key may discover: {refused.stdout}")
    said = lab.host.run(connect_by_kernel.format(f"{asked},dhchap_secret={keys['first']}")).stdout
    controller = f"nvme{re.search('instance=([0-9]+)', said)[1]}"
    lab.host.run(f"nvme get-log /dev/{controller} --log-id=0x70 --log-len=4096 --raw-binary | grep -aq {daemon.NQN}")
    lab.host.run(f"nvme disconnect -d {controller}")
    target.wait_for_connections(0)


def hashes_and_groups(lab, target, keys):
    for hash_name, group, mutual in CHOICES:
        reload(lab, target, host("first", dhchap_hash=hash_name, dhchap_group=group, controller_key_file=f"{KEYS}/controller"))
        lab.host.run("dmesg -C")
        controller = connect(lab, keys["first"], keys["controller"] if mutual else "")
        said = lab.host.run("dmesg").stdout
        lab.check(f"authenticated with hash hmac({hash_name}) dhgroup {group}" in said, f"with {hash_name} and {group} the host says:\n{said}")
        lab.check(("controller authenticated" in said) == mutual, f"with {hash_name} and {group} the controller did (not) authenticate:\n{said}")
        initiator.wait_for_namespaces(lab.host, controller)
        initiator.disconnect(lab.host, daemon.NQN)


def wrong_keys(lab, target, keys):
    reload(lab, target, host("first", controller_key_file=f"{KEYS}/controller", dhchap_group="null"))
    for secret, controller_secret, rule in (
        (keys["stranger"], "", 'it has another key than "key_file"'),
        (keys["first"], keys["stranger"], "the host ended the authentication with AUTH_Failure2"),
    ):
        refused = lab.host.run(connect_command(lab, secret, controller_secret), check=False)
        lab.check(refused.exit_code != 0, f"the host was let in, although {rule}")
        target.wait_until_said(rule)
    # Without a key the host does not try to authenticate: it meets Authentication Required.
    refused = lab.host.run(connect_command(lab, "", ""), check=False)
    lab.check(refused.exit_code != 0, "the host was let in without a key")
    target.wait_for_connections(0)
    failed = status(lab)["authentications"]["failed"]
    lab.check(failed["wrong_response"] == 1 and failed["host_rejected"] == 1, f"the failures are not counted: {failed}")


def again_by_itself(lab, target, keys):
    reload(lab, target, host("first"))
    controller = connect(lab, keys["first"], options="--reconnect-delay=1 --keep-alive-tmo=5")
    initiator.wait_for_namespaces(lab.host, controller)
    for lose in (lambda: daemon.command(lab, f"disconnect {HOST}"), lambda: lose_path(lab, target)):
        done = authenticated(lab)
        lose()
        wait_for(lab, "the host to come back", lambda: authenticated(lab) >= done + 2 and initiator.controllers(lab.host, daemon.NQN) == {controller: "live"})
    return controller


def lose_path(lab, target):
    """For so long that both sides give up the connections."""
    lab.host.set_link(up=False)
    target.wait_for_connections(0)
    lab.host.set_link(up=True)


def new_key_under_load(lab, target, keys, controller):
    device = initiator.wait_for_namespaces(lab.host, controller)[0]
    load = fio.Endless(lab.host, device)
    reload(lab, target, host("first"), host("second"))
    done = authenticated(lab)
    lab.host.run(f"echo -n '{keys['second']}' >/sys/class/nvme/{controller}/dhchap_secret")
    wait_for(lab, "both queues to authenticate again", lambda: authenticated(lab) >= done + 2)
    reload(lab, target, host("second"))
    said = daemon.command(lab, "reload --force").stdout
    lab.check("disconnect" not in said, f"the host with the new key was disconnected: {said}")
    lab.check(load.running(), "a command of the load failed")
    load.finish()
    lab.check(initiator.controllers(lab.host, daemon.NQN) == {controller: "live"}, "the host has lost its controller")
    reload(lab, target, host("first"))
    said = daemon.command(lab, "reload --force").stdout
    lab.check(re.search("disconnect 1 controller of", said), f"the host with the former key was not disconnected: {said}")


def storm(lab, target, keys):
    """As many hosts as these machines can play authenticate with FFDHE-2048, while another does fio: no keep-alive is late, no command fails."""
    reload(lab, target, host("first"), {"nqn": STORM, "key_file": f"{KEYS}/second"})
    lab.host.run(f"umask 077; echo '{keys['second']}' >/tmp/storm.key")
    controller = connect(lab, keys["first"], options="--keep-alive-tmo=5")
    load = fio.Endless(lab.host, initiator.wait_for_namespaces(lab.host, controller)[0])
    before = len(target.output)
    done, worked_s, begin = authenticated(lab), target.cpu_time_s(), time.monotonic()
    each = lab.rounds(4, thorough=250)
    one = f"{daemon.stage(lab, 'hostile_host')} authenticate {lab.target.address()} {daemon.NQN} {STORM} /tmp/storm.key {each}"
    said = lab.host.run(f"for i in $(seq {STORM_PROCESSES}); do {one} & done; wait", timeout_s=200).stdout
    done, worked_s, took_s = authenticated(lab) - done, target.cpu_time_s() - worked_s, time.monotonic() - begin
    print(f"storm: {done} hosts have authenticated in {took_s:.1f} s, in which the daemon worked {worked_s:.1f} s\n{said}")
    lab.check(done >= STORM_PROCESSES * each, f"the storm was none: only {done} hosts have authenticated")
    lab.check(load.running(), "a command of the load failed")
    load.finish()
    lab.check(initiator.controllers(lab.host, daemon.NQN) == {controller: "live"}, "the host has lost its controller")
    lab.check("keep-alive timeout" not in target.output[before:], "a keep-alive was lost")
    initiator.disconnect(lab.host, daemon.NQN)


def refused_by_the_kernel(lab, target, keys):
    """What the host says of a refusal by the kernel's own target is the reference for what it says of one by the daemon. Last, and with --thorough alone: the host's command does not end for minutes."""
    reload(lab, target, host("first", dhchap_group="null"))
    lab.target.modprobe("null_blk")
    attributes = {"dhchap_key": keys["first"], "dhchap_hash": "hmac(sha256)", "dhchap_dhgroup": "null"}
    nvmet.start(lab.target, "/dev/nullb0", nqn=KERNEL, port=KERNEL_PORT, hosts={HOST: attributes})
    lab.host.altered = lab.target.altered = "the host still connects to the kernel's target"
    said = [refusal(lab, keys["stranger"], nqn, port) for nqn, port in ((daemon.NQN, 4420), (KERNEL, KERNEL_PORT))]
    print(f"a wrong key: the host says of the daemon and of the kernel's target: {said}")
    lab.check(said[0], "the host says nothing of the daemon's refusal")
    lab.check(said[1] in ("", said[0]), f"the host says of the daemon's refusal {said[0]!r}, and of the kernel's {said[1]!r}")


def refusal(lab, secret, nqn, port):
    """The host's line about its authentication, without what names the controller; empty when it says nothing for long."""
    lab.host.run("dmesg -C")
    lab.host.start(connect_command(lab, secret, "", nqn=nqn, port=port))
    found = "dmesg | grep -i 'nvme.*authentication'"
    said = lab.host.run(f"timeout 40 sh -c \"until {found}; do sleep 1; done\"", timeout_s=60, check=False).stdout
    return re.sub(r".*nvme[0-9]+: ", "", (said.splitlines() or [""])[0])


def make_key(lab, name, hmac):
    """A key as nvme-cli makes it, in a file that only its owner may read."""
    secret = lab.host.run(f"nvme gen-dhchap-key --hmac={hmac} --nqn={HOST}").stdout.strip()
    lab.target.run(f"umask 077; mkdir -p {KEYS}; echo '{secret}' >{KEYS}/{name}")
    return secret


def host(key, **more):
    return {"nqn": HOST, "key_file": f"{KEYS}/{key}", **more}


def config(lab, *hosts):
    limits = {"max_new_controllers_per_s": 0, "max_new_controllers_per_s_per_host": 0}
    discovery = {"require_authentication": True}
    return daemon.config(lab, [], limits=limits, discovery=discovery, subsystems=[{"nqn": daemon.NQN, "hosts": list(hosts), "namespaces": [{"memory": "16MiB"}]}])


def reload(lab, target, *hosts):
    said = target.reload(config(lab, *hosts))
    lab.check("reload refused" not in said, f"the reload was refused:\n{said}")


def connect_command(lab, secret, controller_secret, options="", nqn=daemon.NQN, port=4420):
    secrets = [f"--dhchap-secret='{secret}'"] * bool(secret) + [f"--dhchap-ctrl-secret='{controller_secret}'"] * bool(controller_secret)
    return (
        f"nvme connect -t rdma -a {lab.target.address()} -s {port} -n {nqn} -i 1 -o json "
        f"--hostnqn={HOST} --hostid={HOST.split(':')[-1]} {options} {' '.join(secrets)}"
    )


def connect(lab, secret, controller_secret="", options=""):
    said = lab.host.run(connect_command(lab, secret, controller_secret, options)).stdout
    return re.search(r'"device"\s*:\s*"(nvme[0-9]+)"', said)[1]


def status(lab):
    return json.loads(lab.target.ask(daemon.ADMIN_SOCKET, "/v1/status"))


def authenticated(lab):
    """How many queues have authenticated since the daemon's start."""
    return status(lab)["authentications"]["succeeded"]


def wait_for(lab, what, holds, timeout_s=30):
    deadline = time.monotonic() + timeout_s * lab.host.patience
    while not holds():
        if time.monotonic() > deadline:
            raise CaseFailed(f"waited in vain for {what}")
        time.sleep(0.5)
