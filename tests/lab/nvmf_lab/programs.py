"""Which programs the lab needs of this machine, and which Debian package brings each."""

import os
import shutil
import subprocess

from .errors import LabError

PACKAGE_OF = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "modprobe": "kmod",
    "depmod": "kmod",
    "setpriv": "util-linux",
    "cp": "coreutils",
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "rdma": "iproute2",
    "nvme": "nvme-cli",
    "fio": "fio",
    "curl": "curl",
    "tshark": "tshark",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str) -> str:
    """The path of a program; LabError names the package when it is not installed."""
    path = shutil.which(name, path=SEARCH_PATH) or shutil.which(name)
    if path is None:
        raise LabError(f"{name} is not installed on this machine: apt-get install {PACKAGE_OF[name]}")
    return path


def output_of(*argv: str, cwd: str | None = None) -> str:
    """Standard output of a command on this machine (never in a guest)."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [find(argv[0]), *argv[1:]], cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} exited with {done.returncode} on this machine: {done.stderr.strip()}")
    return done.stdout
