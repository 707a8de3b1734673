"""Debian packages that lie over a guest's root, which is the machine's own: as if they were installed, while the machine stays as it is.

Nothing of theirs runs at the installation: users, directories of their own and started services are the case's to make.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil

from . import apt, programs
from .kernel import cache_folder

MERGED = ("bin", "lib", "lib64", "sbin")
DPKG_STATUS = pathlib.Path("/var/lib/dpkg/status")


def get(packages: tuple[str, ...]) -> pathlib.Path:
    """The folder with the files of the packages, and of those that they depend on and that this machine lacks. The network is used only when the
    cache has none for what is installed here."""
    content = hashlib.sha256(" ".join(packages).encode() + DPKG_STATUS.read_bytes()).hexdigest()[:16]
    home = cache_folder() / "layers"
    root = home / content
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            debs, part = home / "debs", home / "root.part"
            shutil.rmtree(debs, ignore_errors=True)
            unpack(apt.download_missing(list(packages), debs), part)
            os.rename(part, root)
            shutil.rmtree(debs)
    return root


def unpack(packages: list[pathlib.Path], root: pathlib.Path) -> None:
    """The files of packages in a new folder, laid out as Debian's root is: /bin is /usr/bin."""
    shutil.rmtree(root, ignore_errors=True)
    for package in packages:
        programs.output_of("dpkg-deb", "-x", str(package), str(root))
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if (root / name).exists():  # a package of before the merger: dpkg-deb would put a folder into the place of a link
            programs.output_of("cp", "-a", f"{root / name}/.", str(root / "usr" / name))
            shutil.rmtree(root / name)
        (root / name).symlink_to(f"usr/{name}")
