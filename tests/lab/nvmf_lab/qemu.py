"""One QEMU process: its command line from a Machine, its sockets, its end."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from . import initramfs, layer, programs, tsc
from .errors import LabError
from .kernel import Kernel
from .topology import Machine, Ssd, Zones, mac

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
AGENT = pathlib.Path(__file__).resolve().parent.parent / "inside/agent.py"
CUT = ".cut"
SOCKET_WAIT_S = 20
# QEMU before 8.1 has a race: a virtual CPU may translate kernel code while another one patches it, keep the half-patched translation,
# and the kernel dies of «Oops: int3». Most patching is done at boot and when drivers load, so that happens on one CPU: network.set_up
# brings up the others last.
# no_timer_check: a kernel that counts the timer's interrupts for 40 ms gives up where the machine is too busy for the emulated timer.
KERNEL_ARGS = ("console=ttyS0", "panic=-1", "tsc=reliable", "random.trust_cpu=on", "mitigations=off", "maxcpus=1", "noreplace-smp", "no_timer_check")
# A third of a boot's instructions, for what no case needs: pages that are split to be read-only, addresses drawn by lot, self-tests of
# ciphers, the keys that modules are signed with.
QUICK_BOOT_ARGS = ("rodata=off", "nokaslr", "cryptomgr.notests=1", "apparmor=0", "initcall_blacklist=load_system_certificate_list")
# Without xsave and the wide registers behind it a thread's state is smaller: less to save at each switch, and to emulate.
CPU = "max,la57=off,xsave=off"
KERNEL_HZ = 250  # Debian's
# A kernel that is told a wrong rate of the time stamp counter may have no clock to find that out, or to set its timers by.
OTHER_CLOCKS_OFF = ("pmtmr=0", "hpet=disable")
# Its first unit is inside/init's; interfaces keep the kernel's names.
SYSTEMD_ARGS = ("systemd.unit=lab.target", "net.ifnames=0")


class Qemu:
    """A guest's QEMU. `runtime` is a short-lived folder with a short path (UNIX sockets), `out` keeps its logs, and `share` is what the guest has as /lab."""

    def __init__(self, name: str, machine: Machine, kernel: Kernel, runtime: pathlib.Path, out: pathlib.Path, share: pathlib.Path):
        self.name, self.machine, self.kernel = name, machine, kernel
        self.runtime, self.out, self.share = runtime, out, share
        self.console = out / f"{name}.console.log"
        self.trace_file = out / f"{name}.trace"
        self.messages = out / f"{name}.qemu.log"
        self._process: subprocess.Popen | None = None

    def start(self, links: list[list[str]]) -> None:
        """Start QEMU with one network device per entry of `links` (each the tails of -netdev arguments; the first is the device's)."""
        self._make_disks()
        # QEMU must die with the runner, however the runner dies; a process group of its own keeps Ctrl-C for the runner.
        command = [programs.find("setpriv"), "--pdeathsig", "KILL", *self.command_line(links)]
        (self.out / f"{self.name}.qemu.cmd").write_text(" \\\n  ".join(command) + "\n")
        with open(self.messages, "w") as messages:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True
            )

    def command_line(self, links: list[list[str]]) -> list[str]:
        machine = self.machine
        return [
            programs.find("qemu-system-x86_64"),
            *("-name", self.name, "-machine", machine.machine, "-cpu", CPU, "-smp", str(machine.vcpus), "-m", str(machine.memory_mib)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *(("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off") if machine.icount else ("-accel", "tcg,thread=multi")),
            *("-kernel", str(self.kernel.image), "-initrd", str(initramfs.get(self.kernel)), "-append", self._kernel_command_line()),
            *("-serial", f"file:{self.console}"),
            *("-chardev", f"socket,id=qmp,path={self.socket_path('qmp')},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
            *("-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self.socket_path('agent')},server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=lab.agent"),
            *_share("root", "/", ",readonly=on"),
            *_share("repo", str(REPOSITORY), ",readonly=on"),
            *_share("lab", str(self.share), ""),
            *(_share("layer", str(layer.get(machine.packages)), ",readonly=on") if machine.packages else ()),
            *machine.qemu_args,
            *self._network(links),
            *(argument for number, ssd in enumerate(machine.ssds) for argument in self._ssd(number, ssd)),
            *self._trace(),
        ]

    def connect(self, what: str) -> socket.socket:
        """Connect to the socket "agent" or "qmp"."""
        deadline = time.monotonic() + SOCKET_WAIT_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.socket_path(what)))
                return connection
            except OSError:
                connection.close()
                if not self.alive():
                    raise LabError(f"QEMU of {self.name} has ended: {self.last_words()}") from None
                if time.monotonic() > deadline:
                    raise LabError(f"QEMU of {self.name} did not open its {what} socket within {SOCKET_WAIT_S} s") from None
                time.sleep(0.02)

    def last_words(self) -> str:
        """What QEMU itself said, or else the end of the guest's console: a kernel that panics ends QEMU."""
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        panic = [line for line in console.splitlines() if "panic" in line and "Command line" not in line and "command line" not in line]
        return self.messages.read_text().strip() or "\n  ".join([*panic[:1], f"console: {self.console}"])

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """The end without warning: as if the machine lost its power."""
        if self.alive():
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def cut_wires(self) -> None:
        """Let what is sent to it vanish, while its own ends and the others stay up."""
        for end in self.runtime.glob(f"{self.name}.link[0-9]"):
            end.rename(f"{end}{CUT}")

    def join_wires(self) -> None:
        for end in self.runtime.glob(f"{self.name}.link[0-9]{CUT}"):
            end.rename(str(end).removesuffix(CUT))

    def cpu_s(self) -> float:
        """CPU time it has used so far; 0 when it has ended."""
        try:
            fields = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def wait(self, timeout_s: float) -> int:
        return self._process.wait(timeout_s)

    def disk_path(self, number: int) -> pathlib.Path:
        return self.runtime / f"{self.name}.ssd{number}.raw"

    def socket_path(self, what: str) -> pathlib.Path:
        return self.runtime / f"{self.name}.{what}"

    def _kernel_command_line(self) -> str:
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else os.path.realpath(sys.executable)
        lab = {"name": self.name, "agent": AGENT, "python": python, "modules": self.kernel.modules, "repo": REPOSITORY}
        words = [*KERNEL_ARGS, *QUICK_BOOT_ARGS, *self._clock_args(), self.machine.kernel_args]
        if self.machine.packages:
            lab["layer"] = "layer"
        if self.machine.systemd:
            lab["manager"] = "/lib/systemd/systemd"
            words += SYSTEMD_ARGS
        return " ".join([*words, *(f"lab.{key}={value}" for key, value in lab.items())])

    def _clock_args(self) -> list[str]:
        """Nothing to measure at boot; counted instructions are a clock of their own."""
        khz = None if self.machine.icount else tsc.khz()
        if not khz:
            return []
        khz *= self.machine.slow_clock
        other_clocks = OTHER_CLOCKS_OFF if self.machine.slow_clock != 1 else ()
        return [f"tsc_early_khz={khz}", f"lpj={khz * 1000 // KERNEL_HZ}", *other_clocks]

    def _network(self, links: list[list[str]]) -> list[str]:
        arguments = []
        for number, backends in enumerate(links):
            arguments += [word for backend in backends for word in ("-netdev", backend)]
            bus = f",bus={self.machine.nic_buses[number]}" if self.machine.nic_buses else ""
            arguments += ["-device", f"virtio-net-pci,id=nic{number},netdev=net{number},host_mtu=9000,mac={mac(self.name, number)}{bus}"]
        return arguments

    def _make_disks(self) -> None:
        """Sparse files; what an earlier boot of the machine wrote stays."""
        for number, ssd in enumerate(self.machine.ssds):
            with open(self.disk_path(number), "ab") as disk:
                disk.truncate(ssd.size_mib << 20)

    def _ssd(self, number: int, ssd: Ssd) -> list[str]:
        name = f"ssd{number}"
        drive = f"driver=raw,node-name={name}-disk,discard=unmap,file.driver=file,file.filename={self.disk_path(number)}"
        controller = [f"nvme,id={name},serial={ssd.serial or name}"]
        controller += [f"cmb_size_mb={ssd.cmb_mib}"] if ssd.cmb_mib else []
        controller += [f"bus={ssd.bus}"] if ssd.bus else []
        controller += [ssd.properties] if ssd.properties else []
        disk = [f"drive={name}-disk,logical_block_size={ssd.block_bytes},physical_block_size={ssd.block_bytes}"]
        if ssd.zones is None:
            return ["-blockdev", drive, "-device", ",".join(controller + disk)]
        namespace = ["nvme-ns", f"bus={name}", "nsid=1", *disk, *_zoned(ssd.zones)]
        return ["-blockdev", drive, "-device", ",".join(controller), "-device", ",".join(namespace)]

    def _trace(self) -> list[str]:
        if not self.machine.trace:
            return []
        return ["-D", str(self.trace_file), *(word for event in self.machine.trace for word in ("-trace", event))]


def _zoned(zones: Zones) -> list[str]:
    limits = f"zoned.max_active={zones.max_active},zoned.max_open={zones.max_open},zoned.descr_ext_size={zones.extension_bytes}"
    capacity = [f"zoned.zone_capacity={zones.capacity_kib}K"] if zones.capacity_kib else []
    return ["zoned=on", f"zoned.zone_size={zones.size_mib}M", *capacity, limits]


def _share(tag: str, path: str, options: str) -> list[str]:
    return [
        "-fsdev",
        f"local,id={tag},path={path},security_model=none,multidevs=remap{options}",
        "-device",
        f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]
