"""The initramfs: a static busybox, the few modules that 9p and overlay need, and inside/init. Made on the fly, cached by content."""

import hashlib
import lzma
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import programs
from .errors import LabError
from .kernel import Kernel, cache_folder

INIT = pathlib.Path(__file__).parent.parent / "inside/init"
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")


def get(kernel: Kernel) -> pathlib.Path:
    """The initramfs for a kernel; made when the cache has none for this kernel, init script and busybox."""
    busybox = programs.find("busybox")
    parts = (INIT.read_bytes(), pathlib.Path(busybox).read_bytes(), " ".join(MODULES).encode())
    content = hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    final = cache_folder() / f"initramfs-{kernel.folder.name}-{content}.img"
    if not final.exists():
        with tempfile.TemporaryDirectory() as folder:
            archive = _make(kernel, busybox, pathlib.Path(folder))
            # Renamed into place: two runs may make it at the same time.
            part = final.with_suffix(f".{os.getpid()}")
            part.write_bytes(archive)
            os.replace(part, final)
    return final


def _make(kernel: Kernel, busybox: str, folder: pathlib.Path) -> bytes:
    for name in ("bin", "dev", "proc", "sys", "modules"):
        (folder / name).mkdir()
    shutil.copy(busybox, folder / "bin/busybox")
    shutil.copy(INIT, folder / "init")
    (folder / "init").chmod(0o755)
    _add_modules(kernel, folder / "modules")
    return _archive(folder)


def _add_modules(kernel: Kernel, folder: pathlib.Path) -> None:
    order = []
    for path in kernel.module_files(*MODULES):
        name = path.name.removesuffix(".xz")
        data = path.read_bytes()
        (folder / name).write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
        order.append(name + "\n")
    (folder / "order").write_text("".join(order))


def _archive(folder: pathlib.Path) -> bytes:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    packed = subprocess.run(
        [programs.find("cpio"), "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        cwd=folder,
        input="\n".join(names).encode(),
        capture_output=True,
    )
    if packed.returncode != 0:
        raise LabError(f"cpio could not pack the initramfs: {packed.stderr.decode().strip()}")
    return packed.stdout
