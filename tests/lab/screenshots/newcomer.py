"""A newcomer's path, from the package to the live screen, in two machines; each step's terminal becomes a picture."""

import json
import pathlib
import shlex
import signal
import sys

from nvmf_lab import Ssd, Two, initiator

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from terminal import Screen, picture  # noqa: E402

TOPOLOGY = Two(ssds=[Ssd(cmb_mib=64)], systemd=True)
TIME_LIMIT_S = 400

COLUMNS, LINES = 110, 40
CONFIG = "/etc/nvmf-p2p/config.json"
PROMPT = "\x1b[1;32m{name}\x1b[0m\x1b[1m#\x1b[0m {command}\r\n"
WITH_TERMINAL = f"stty cols {COLUMNS} rows {LINES}; export TERM=xterm-256color LANG=C.UTF-8 SYSTEMD_PAGER=cat SYSTEMD_URLIFY=0;"

# As the README shows it, for the lab's addresses.
WANTED = """\
{{
  "$schema": "https://nvmf-p2p.example/schema.json",
  "ports": [{{ "id": 1, "address": "{address}" }}],
  "subsystems": [
    {{
      "nqn": "nqn.2026-01.io.example:disk1",
      "allowed_hosts": ["{host}"],
      "namespaces": [{{ "{nvme}": "{device}", "p2p": "prefer" }}]
    }}
  ]
}}
"""
NQN = "nqn.2026-01.io.example:disk1"
LOAD = "exec fio --name=load --filename={device} --ioengine=io_uring --direct=1 --thread --rw=randrw --rwmixread=70 --bs=16k --iodepth=8 --time_based --runtime=300 --output=/dev/null"


def test(lab):
    prepare(lab)
    lab.target.run("dpkg -i /root/nvmf-p2p.deb")
    lab.target.until("systemctl is-active nvmf-p2p")
    with Shot(lab, "doctor", "2. What can this machine do?") as shot:
        shot.on_target("nvmf-p2p doctor")
    with Shot(lab, "check", "3. Write the config, check it") as shot:
        write(lab, "nmve")
        shot.on_target(f"cat {CONFIG}")
        lab.check(shot.on_target(f"nvmf-p2p check {CONFIG}") == 2, "a misspelled key passes the check")
        shot.on_target(f"sed -i s/nmve/nvme/ {CONFIG}")
        lab.check(shot.on_target(f"nvmf-p2p check {CONFIG}") == 0, "the config does not pass the check")
    with Shot(lab, "start", "4. Start") as shot:
        shot.on_target("systemctl restart nvmf-p2p")
        lab.target.until("systemctl is-active nvmf-p2p")
        shot.on_target("systemctl status nvmf-p2p --no-pager -n 0")
        shot.on_target("nvmf-p2p status")
        shot.on_target("nvmf-p2p p2p")
    with Shot(lab, "connect", "5. Connect, from a host") as shot:
        lab.host.modprobe("nvme-rdma")
        shot.on_host(f"nvme discover -t rdma -a {lab.target.address()} -s 4420")
        shot.on_host(f"nvme connect -t rdma -a {lab.target.address()} -s 4420 -n {NQN}")
        controller = next(iter(initiator.controllers(lab.host, NQN)))
        device = initiator.wait_for_namespaces(lab.host, controller)[0]
        shot.on_host("nvme list-subsys")
        shot.on_host("lsblk -d -o NAME,SIZE,MODEL,TRAN")
    with Shot(lab, "top", "6. Watch") as shot:
        load = lab.host.start(LOAD.format(device=device))
        shot.on_target("nvmf-p2p top", for_s=20)
        load.stop(number=signal.SIGINT)
    initiator.disconnect(lab.host, NQN)
    moved = json.loads(lab.target.run("nvmf-p2p stats --json").stdout)["namespaces"][0]
    lab.check(moved["reads"]["cmb"]["commands"] > 0, f"the pictures show a target whose data does not go through the CMB: {moved}")


def prepare(lab):
    package = next(iter(lab.options.binary.parent.glob("nvmf-p2p_*.deb")), None)
    lab.check(package, "there is no package: make one with `cpack --preset release`")
    lab.target.result_file("nvmf-p2p.deb").write_bytes(package.read_bytes())
    lab.target.until("systemctl is-active basic.target")
    # The index of the manual pages takes minutes in an emulated machine; debconf has nobody to ask.
    lab.target.run("cp /results/nvmf-p2p.deb /root; rm -f /var/lib/man-db/auto-update")


def write(lab, nvme):
    host = lab.host.read("/etc/nvme/hostnqn").strip()
    lab.target.write(CONFIG, WANTED.format(address=lab.target.address(), host=host, device=lab.target.generic(), nvme=nvme))


class Shot:
    """One picture: commands, and what they write to a terminal. Left as NAME.svg and NAME.txt in the case's folder."""

    def __init__(self, lab, name, title):
        self.lab, self.name, self.title = lab, name, title
        self.screen = Screen(COLUMNS)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            (self.lab.out / f"{self.name}.svg").write_text(picture(self.screen, self.title))
            (self.lab.out / f"{self.name}.txt").write_text(self.screen.text())

    def on_target(self, command, for_s=0):
        return self._run(self.lab.target, "target", command, for_s)

    def on_host(self, command):
        return self._run(self.lab.host, "host", command, 0)

    def _run(self, guest, name, command, for_s):
        """`for_s`: a live screen, of which the last is kept; 0: to its end. Returns the exit status."""
        limit = f"timeout --foreground -s INT {for_s} " if for_s else ""
        shell = f"cd /root; {WITH_TERMINAL} {limit}{command}"
        ran = guest.run(f"script -qec {shlex.quote(shell)} /dev/null </dev/null", timeout_s=150, check=False, env={"DEBIAN_FRONTEND": "noninteractive"})
        if for_s:
            self.screen.write(last_frame(ran.stdout))
        else:
            gap = "\r\n" if self.screen.row else ""
            self.screen.write(gap + PROMPT.format(name=name, command=command) + ran.stdout)
            if not ran.stdout.endswith("\n") and ran.stdout:
                self.screen.write("\r\n")
        return ran.exit_code


def last_frame(output):
    """Of a program that draws its screen again and again from the top."""
    frames = output.split("\x1b[H")
    return frames[-1].split("\x1b[?1049l")[0].split("\x1b[?25h")[0]
