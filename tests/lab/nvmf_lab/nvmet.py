"""The kernel's own target, set up through configfs: the peer to compare with."""

from .guest import Guest

CONFIGFS = "/sys/kernel/config/nvmet"


class KernelTarget:
    """One subsystem with one namespace, listening on one port. Any host may connect, or those that are named, with their keys."""

    def __init__(
        self, guest: Guest, nqn: str, device: str, address: str, port: int, port_id: int, attributes: dict[str, str], hosts: dict[str, dict[str, str]]
    ):
        self.guest, self.nqn, self.device = guest, nqn, device
        self.address, self.port, self._port_id = address, port, port_id
        self._attributes, self._hosts = attributes, hosts

    def start(self) -> None:
        subsystem, port = f"{CONFIGFS}/subsystems/{self.nqn}", f"{CONFIGFS}/ports/{self._port_id}"
        namespace = f"{subsystem}/namespaces/1"
        family = "ipv6" if ":" in self.address else "ipv4"
        self.guest.run(
            "\n".join(
                [
                    "set -e",
                    "modprobe -a nvmet nvmet_rdma",
                    "mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config",
                    f"mkdir -p {namespace} {port}",
                    f"echo {0 if self._hosts else 1} >{subsystem}/attr_allow_any_host",
                    *(self._allow(subsystem, nqn, keys) for nqn, keys in self._hosts.items()),
                    f"echo -n {self.device} >{namespace}/device_path",
                    *(f"echo {value} >{subsystem}/{name}" for name, value in self._attributes.items()),
                    f"echo 1 >{namespace}/enable",
                    f"echo rdma >{port}/addr_trtype",
                    f"echo {family} >{port}/addr_adrfam",
                    f"echo {self.address} >{port}/addr_traddr",
                    f"echo {self.port} >{port}/addr_trsvcid",
                    f"ln -s {subsystem} {port}/subsystems/{self.nqn}",
                ]
            )
        )

    @staticmethod
    def _allow(subsystem: str, nqn: str, keys: dict[str, str]) -> str:
        host = f"{CONFIGFS}/hosts/{nqn}"
        writes = [f"echo -n '{value}' >{host}/{name}" for name, value in keys.items()]
        return "\n".join([f"mkdir -p {host}", *writes, f"ln -s {host} {subsystem}/allowed_hosts/{nqn}"])

    def stop(self) -> None:
        subsystem, port = f"{CONFIGFS}/subsystems/{self.nqn}", f"{CONFIGFS}/ports/{self._port_id}"
        hosts = "".join(f"rm {subsystem}/allowed_hosts/{nqn}; rmdir {CONFIGFS}/hosts/{nqn}; " for nqn in self._hosts)
        self.guest.run(
            f"set -e; rm {port}/subsystems/{self.nqn}; rmdir {port}; {hosts}"
            f"echo 0 >{subsystem}/namespaces/1/enable; rmdir {subsystem}/namespaces/1 {subsystem}"
        )


def start(
    guest: Guest,
    device: str,
    nqn: str = "nqn.2025-01.org.example:kernel",
    address: str | None = None,
    port: int = 4420,
    port_id: int = 1,
    attributes: dict[str, str] | None = None,
    hosts: dict[str, dict[str, str]] | None = None,
) -> KernelTarget:
    """Serve a block device of a guest with its kernel's nvmet over RDMA. `attributes` are files of the subsystem, e.g. attr_serial; `hosts` those of each host that may connect, e.g. dhchap_key."""
    target = KernelTarget(guest, nqn, device, address or guest.address(), port, port_id, attributes or {}, hosts or {})
    target.start()
    return target
