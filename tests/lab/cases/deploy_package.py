"""Operator installs the Debian package on a machine with systemd: it serves as a user of its own, reloads, takes drop-ins, is restarted when it hangs, upgrades, and goes."""

import json

from nvmf_lab import Ssd, Two, daemon, fio, initiator

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], systemd=True)
TIME_LIMIT_S = 300

CONFIG = "/etc/nvmf-p2p/config.json"
DROP_INS = "/etc/nvmf-p2p/conf.d"
TENANT = f"{DROP_INS}/tenant.json"
TENANT_NQN = "nqn.2026-01.io.example:tenant"
WATCHDOG_S = 15
# Without triggers: the index of the manual pages takes minutes there.
DPKG = "DEBIAN_FRONTEND=noninteractive dpkg --no-triggers"


def test(lab):
    package = deb(lab)
    know_little(lab, package)
    lab.target.until("systemctl is-active basic.target")
    install(lab, package)
    device = serves_as_a_user_of_its_own(lab)
    reloads(lab)
    takes_a_drop_in(lab)
    is_restarted_when_it_hangs(lab, device)
    upgrades(lab, package, device)
    initiator.disconnect(lab.host, daemon.NQN)
    refuses_mistakes_without_trying_again(lab)
    goes(lab)


def deb(lab):
    found = list(lab.options.binary.parent.glob("nvmf-p2p_*.deb"))
    lab.check(len(found) == 1, f"there are {len(found)} packages in {lab.options.binary.parent}: make one with `cpack --preset release`")
    lab.target.result_file("nvmf-p2p.deb").write_bytes(found[0].read_bytes())
    return "/results/nvmf-p2p.deb"


def know_little(lab, package):
    """Let dpkg know no other packages than those that this one needs: it reads the file list of each, of hundreds here."""
    lab.target.run(f"""had=/var/lib/dpkg little=/run/dpkg
mkdir -p $little/info $little/updates $little/triggers
needed=$(dpkg-deb -f {package} Depends Pre-Depends | sed 's/^[A-Za-z-]*://' | tr ',|' '\\n' | awk '{{print $1}}')
have=$(dpkg-query -W -f '${{Package}} ${{Provides}}\\n' | tr -d ',' | awk -v "needed=$needed" '
  BEGIN {{ split(needed, names); for (i in names) wanted[names[i]] }}
  {{ for (i = 1; i <= NF; i++) if ($i in wanted) {{ print $1; next }} }}')
dpkg-query -s $have >$little/status
for one in $have; do cp $had/info/$one.list $had/info/$one:*.list $little/info 2>/dev/null || true; done
mount --bind $little $had""")


def install(lab, package):
    # Before the service is known, because to read all units anew takes systemd long here.
    lab.target.write("/etc/systemd/system/nvmf-p2p.service.d/watchdog.conf", f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
    lab.target.run(f"{DPKG} -i {package}", timeout_s=120)
    wait_until_active(lab)
    lab.target.run("systemctl is-enabled nvmf-p2p && man -w nvmf-p2p && man -w nvmf-p2p.json")
    lab.target.run(f"nvmf-p2p check {CONFIG}")


def serves_as_a_user_of_its_own(lab):
    write(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}]))
    lab.target.run("systemctl restart nvmf-p2p")
    wait_until_active(lab)
    status = lab.target.run("systemctl show -p StatusText --value nvmf-p2p").stdout.strip()
    lab.check(status == "serving 1 namespace of 1 subsystem; 1 of 1 port listening", f"its status is {status!r}, the journal says:\n{journal(lab)}")
    user, capabilities = lab.target.run(f"ps -o user= -p {main_pid(lab)}; grep CapEff /proc/{main_pid(lab)}/status").stdout.split(maxsplit=1)
    lab.check(user == "nvmf-p2p" and int(capabilities.split()[-1], 16) == 0, f"it runs as {user} with {capabilities}")

    said = lab.target.run("nvmf-p2p doctor --user nvmf-p2p").stdout
    lab.check("MISSING" not in said and "user nvmf-p2p may lock memory without limit in the service" in said, f"with the rights of its user something is missing:\n{said}")

    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
    fio.verify(lab.host, device, bs="64k")
    moved = json.loads(lab.target.run("nvmf-p2p stats --json").stdout)["namespaces"][0]
    lab.check(moved["reads"]["cmb"]["bytes"] > 0 and moved["reads"]["dram"]["bytes"] == 0, f"without root, data did not go through the CMB: {moved}")
    events = [json.loads(line) for line in lab.target.run("journalctl -u nvmf-p2p -o json").stdout.splitlines()]
    connected = [one for one in events if str(one["MESSAGE"]).startswith("connected host ")]
    lab.check(connected and connected[0]["PRIORITY"] == "6", f"the journal has no line of the connection with its priority:\n{journal(lab)}")
    return device


def reloads(lab):
    write(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}, {"memory": "16MiB"}]))
    lab.target.run("systemctl reload nvmf-p2p")
    lab.target.until("systemctl show -p StatusText --value nvmf-p2p | grep '^serving 2 namespaces'")


def takes_a_drop_in(lab):
    """A tenant is a file of its own, to which `save` brings back what is changed of the tenant, although the daemon is not root."""
    before = lab.target.read(CONFIG)
    lab.target.write(TENANT, json.dumps({"subsystems": [{"nqn": TENANT_NQN, "allow_any_host": True, "namespaces": [{"memory": "16MiB"}]}]}))
    lab.target.run("systemctl reload nvmf-p2p")
    lab.target.until("systemctl show -p StatusText --value nvmf-p2p | grep '^serving 3 namespaces of 2 subsystems'")
    said = lab.target.run(f"nvmf-p2p set namespace {TENANT_NQN} 1 max_iops=1000 && nvmf-p2p save").stdout
    told = f"saved {TENANT}\n{TENANT} belongs to the daemon's user now"  # root wrote it, and the daemon may not give files away
    lab.check(told in said, f"what was saved is told as:\n{said}")
    saved = json.loads(lab.target.read(TENANT))["subsystems"]
    lab.check(saved[0]["namespaces"][0].get("max_iops") == 1000, f"the tenant's file has something else: {saved}")
    lab.check(lab.target.read(CONFIG) == before, "saving a change of the tenant changed the config file")
    lab.target.run(f"nvmf-p2p check {CONFIG} && rm {TENANT} {TENANT}~ && systemctl reload nvmf-p2p")
    lab.target.until("systemctl show -p StatusText --value nvmf-p2p | grep '^serving 2 namespaces of 1 subsystem'")


def is_restarted_when_it_hangs(lab, device):
    hung = main_pid(lab)
    lab.target.run(f"kill -STOP {hung}")
    lab.target.until(f"systemctl is-active nvmf-p2p && [ $(systemctl show -p MainPID --value nvmf-p2p) != {hung} ]", timeout_s=60)
    lab.check("Watchdog timeout" in journal(lab), f"the journal does not say why it was restarted:\n{journal(lab)}")
    fio.verify(lab.host, device, bs="64k")


def upgrades(lab, package, device):
    before = lab.target.read(CONFIG), started(lab)
    said = lab.target.run(f"{DPKG} -i {package} 2>&1", timeout_s=120).stdout
    lab.check("is in memory: its data is lost" in said, f"the upgrade does not say that it would lose data:\n{said}")
    lab.check(started(lab) == before[1], "the upgrade lost the data of a namespace in memory")
    write(lab, daemon.config(lab, [{"nvme": lab.target.generic(), "p2p": "require"}]))
    lab.target.run("systemctl reload nvmf-p2p")
    before = lab.target.read(CONFIG), started(lab)
    pid = main_pid(lab)
    lab.target.run(f"chown root:root {DROP_INS} && chmod 755 {DROP_INS}")  # as after a version without drop-ins
    said = lab.target.run(f"{DPKG} -i {package} 2>&1", timeout_s=120).stdout
    lab.check("takes over" in said, f"the upgrade does not say what it does:\n{said}")
    wait_until_active(lab)
    lab.check(lab.target.read(CONFIG) == before[0], "the upgrade changed the operator's config")
    access = lab.target.run(f"stat -c '%U %G %a' {DROP_INS}").stdout.strip()
    lab.check(access == "root nvmf-p2p 775", f"after the upgrade the daemon cannot save drop-ins: their directory is {access}")
    lab.check(started(lab) != before[1] and main_pid(lab) == pid, f"the upgrade did not take effect in the process of the unit:\n{said}")
    lab.target.until("systemctl show -p ActiveState --value nvmf-p2p | grep -qx active")
    lab.target.until("journalctl -u nvmf-p2p | grep -q 'proved at .* and taken over'")  # /proc hides the boot from it
    fio.verify(lab.host, device, bs="64k")

    lab.target.write("/etc/default/nvmf-p2p", "RESTART_ON_UPGRADE=no\n")
    before = started(lab)
    lab.target.run(f"{DPKG} -i {package} </dev/null", timeout_s=120)
    lab.check(started(lab) == before, "the operator wants to choose the moment, and was not asked")


def refuses_mistakes_without_trying_again(lab):
    lab.target.write(CONFIG, "{ not json")
    lab.check(lab.target.run("systemctl restart nvmf-p2p", check=False).exit_code != 0, "it starts with a broken config")
    state = lab.target.run("systemctl show -p ActiveState,ExecMainStatus,NRestarts nvmf-p2p").stdout.split()
    lab.check({"ActiveState=failed", "ExecMainStatus=2"} <= set(state), f"with a broken config it is {state}")


def goes(lab):
    lab.target.run(f"{DPKG} -r nvmf-p2p")
    lab.target.run(f"[ -e {CONFIG} ] && ! [ -e /usr/bin/nvmf-p2p ] && ! systemctl start nvmf-p2p && ! pgrep -x nvmf-p2p")
    lab.target.run(f"{DPKG} -P nvmf-p2p")
    lab.target.run("! [ -e /etc/nvmf-p2p ] && ! [ -e /var/lib/nvmf-p2p ] && ! dpkg -s nvmf-p2p")


def write(lab, wanted):
    lab.target.write(CONFIG, json.dumps(wanted, indent=2) + "\n")


def wait_until_active(lab):
    lab.target.until("systemctl is-active nvmf-p2p", timeout_s=30)


def started(lab):
    return json.loads(lab.target.run("nvmf-p2p status --json").stdout)["started_ms"]


def main_pid(lab):
    return int(lab.target.run("systemctl show -p MainPID --value nvmf-p2p").stdout)


def journal(lab):
    return lab.target.run("journalctl --no-pager -u nvmf-p2p -n 40").stdout
