"""The guests' kernels: Debian's stock packages, fetched once through apt and unpacked below the lab's cache."""

import dataclasses
import fcntl
import lzma
import os
import pathlib
import re
import shutil

from . import programs
from .apt import Suite
from .errors import LabError

META_PACKAGE = "linux-image-amd64"
# What cases load. Unpacked in the cache: an emulated CPU takes seconds to unxz them at every boot.
UNCOMPRESSED = (
    *("virtio_net", "nvme", "nvme_fabrics", "nvme_rdma", "nvme_tcp", "nvmet", "nvmet_rdma", "nvmet_tcp"),
    *("rdma_rxe", "ib_uverbs", "rdma_ucm", "brd", "null_blk", "loop", "vfio_pci", "xfs", "ext4"),
)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a kernel comes from, and the oldest version (major, minor) that will do."""

    suite: str
    at_least: tuple[int, int]


# `backports` is the default: ODP registration of CMB pages needs 6.17, dma-buf of a BAR needs 6.19.
SOURCES = {
    "backports": Source("trixie-backports", (6, 17)),
    "bookworm": Source("bookworm", (6, 1)),
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One unpacked kernel: `folder` holds vmlinuz, config and lib/modules/RELEASE."""

    release: str
    folder: pathlib.Path

    @property
    def image(self) -> pathlib.Path:
        return self.folder / "vmlinuz"

    @property
    def modules(self) -> pathlib.Path:
        return self.folder / "lib/modules" / self.release

    def module_files(self, *names: str) -> list[pathlib.Path]:
        """The named modules and what they depend on, in the order in which to load them."""
        listing = programs.output_of(
            "modprobe", "-d", str(self.folder), "-S", self.release, "--show-depends", "--ignore-install", "-a", *names
        )
        paths = [line.split()[1] for line in listing.splitlines() if line.startswith("insmod ")]
        return [pathlib.Path(path) for path in dict.fromkeys(paths)]


def cache_folder() -> pathlib.Path:
    """Where kernels and initramfs files are kept between runs."""
    chosen = os.environ.get("NVMF_LAB_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(chosen or os.path.join(base, "nvmf-p2p-lab")).absolute()


def get(name: str, refresh: bool = False) -> Kernel:
    """The kernel of that name; the network is used only when the cache has none, or `refresh` asks for the newest."""
    if name not in SOURCES:
        raise LabError(f"no kernel is called {name!r}; there are: {', '.join(SOURCES)}")
    home = cache_folder() / "kernels" / name
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = _cached(home)
        return kernel if kernel and not refresh else _fetch(SOURCES[name], home)


def _cached(home: pathlib.Path) -> Kernel | None:
    current = home / "current"
    if not (current / "vmlinuz").exists():
        return None
    folder = current.resolve()
    return Kernel(os.listdir(folder / "lib/modules")[0], folder)


def _fetch(source: Source, home: pathlib.Path) -> Kernel:
    suite = Suite(source.suite, home / "apt")
    suite.refresh()
    version = suite.candidate(META_PACKAGE)["Version"]
    folder = home / re.sub(r"[^\w.+-]", "_", version)
    if not (folder / "vmlinuz").exists():
        _check_version(source, version)
        _unpack(suite, folder)
    _point(home / "current", folder)
    return _cached(home)


def _check_version(source: Source, version: str) -> None:
    major, minor = re.match(r"(\d+)\.(\d+)", version).groups()
    if (int(major), int(minor)) < source.at_least:
        wanted = ".".join(map(str, source.at_least))
        raise LabError(f"{source.suite} offers Linux {version}, the lab needs {wanted}: is this machine's mirror up to date?")


def _kernel_packages(suite: Suite) -> list[str]:
    """The packages that hold the files. The image is one package or several, by release, so the dependencies tell."""
    found, waiting = [], [META_PACKAGE]
    while waiting:
        name = waiting.pop()
        found.append(name)
        depends = suite.candidate(name).get("Depends", "")
        # Alternatives («a | b») are tools that would build an initramfs, never parts of the kernel.
        parts = [part.split()[0] for part in depends.split(",") if part.strip() and "|" not in part]
        waiting += [part for part in parts if re.match(r"linux-(image|binary|modules|base)-", part) and part not in found + waiting]
    return found


def _unpack(suite: Suite, folder: pathlib.Path) -> None:
    """Unpack beside the final place and rename, so that an interrupted fetch leaves no half kernel."""
    work = folder.with_name(folder.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    (work / "debs").mkdir(parents=True)
    for package in suite.download(_kernel_packages(suite), work / "debs"):
        programs.output_of("dpkg-deb", "-x", str(package), str(work / "root"))
    _uncompress(_arrange(work / "root", work / "kernel"))
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(work / "kernel", folder)
    shutil.rmtree(work)


def _arrange(root: pathlib.Path, kernel: pathlib.Path) -> Kernel:
    """Bring both layouts (all below usr/lib/modules since 7.x; boot/ and lib/modules before) into one."""
    modules = next(iter([*root.glob("usr/lib/modules/*"), *root.glob("lib/modules/*")]))
    image = next(iter([*modules.glob("vmlinuz"), *root.glob("boot/vmlinuz-*")]))
    config = next(iter([*modules.glob("config"), *root.glob("boot/config-*")]))
    (kernel / "lib/modules").mkdir(parents=True)
    os.rename(image, kernel / "vmlinuz")
    os.rename(config, kernel / "config")
    os.rename(modules, kernel / "lib/modules" / modules.name)
    programs.output_of("depmod", "-b", str(kernel), modules.name)
    return Kernel(modules.name, kernel)


def _uncompress(kernel: Kernel) -> None:
    for path in kernel.module_files(*UNCOMPRESSED):
        if path.suffix == ".xz":
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
            path.unlink()
    programs.output_of("depmod", "-b", str(kernel.folder), kernel.release)


def _point(link: pathlib.Path, folder: pathlib.Path) -> None:
    fresh = link.with_name(f"current.{os.getpid()}")
    fresh.symlink_to(folder.name)
    os.replace(fresh, link)
