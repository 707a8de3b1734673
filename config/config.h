// The configuration as plain data: every key with its unit, range and default. Nothing here opens, binds or allocates
// anything; `parse.h` makes these structs from a file and guarantees every range and relation stated here.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace nvmf::config {

// A place in a file of the config: line and column count from 1, columns in characters (not bytes).
// 0:0 is «not from a file» (a default).
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;
  // 0: the config file; n: its n-th drop-in (Config::drop_ins).
  uint32_t file = 0;

  friend bool operator==(const Position&, const Position&) = default;
  // The order of the files, and of the places in a file.
  friend std::strong_ordering operator<=>(const Position& a, const Position& b) {
    return std::tie(a.file, a.line, a.column) <=> std::tie(b.file, b.line, b.column);
  }
};

enum class LogLevel : uint8_t { trace, debug, info, warn, error };

enum class LogFormat : uint8_t {
  text,  // One line per event; to the journal when systemd started the daemon.
  json,  // A JSON object on each line.
};

enum class AddressFamily : uint8_t { ipv4, ipv6 };

// All addresses of a family, in the spelling of inet_ntop(3).
inline bool is_wildcard(std::string_view address) { return address == "0.0.0.0" || address == "::"; }

// Whether user data of a namespace moves through a Controller Memory Buffer (CMB).
enum class P2pMode : uint8_t {
  off,      // Always DRAM.
  prefer,   // The CMB where a self-test proved that it works, DRAM otherwise.
  require,  // The CMB, or the namespace is not enabled.
};

// What a command does when no CMB buffer is free.
enum class P2pWhenDry : uint8_t {
  wait,   // It waits until a buffer is free.
  spill,  // Its data goes through DRAM.
};

// Whether answers of an RNIC invalidate the hosts' keys (SEND with invalidate).
enum class RemoteInvalidate : uint8_t {
  proved,  // When the device shows that it can.
  on,      // Untried.
  off,
};

// What is special about one RNIC.
struct RdmaDevice {
  Position position;
  // As in /sys/class/infiniband, 1..63 characters; only one element has it.
  std::string name;
  // Default: proved.
  RemoteInvalidate remote_invalidate = RemoteInvalidate::proved;
  // Whether it may serve although its transport is iWARP. Default: false.
  bool iwarp = false;
};

// The threads that run I/O queues.
struct Reactors {
  Position position;
  // CPU numbers, 0..1023, all different; reactor i is pinned to cores[i]. Empty: not pinned.
  std::vector<uint16_t> cores;
  // Number of reactors, 1..256, default 1. Equals cores.size() where cores is not empty.
  uint16_t count = 1;
  // How long a reactor keeps polling after its last work before it sleeps: microseconds, 0..1,000,000, default 50.
  uint32_t poll_us = 50;
};

// Limits and memory of the RDMA transport, the same for every port.
struct Rdma {
  Position position;
  // Data that a command capsule may carry: bytes, 0..16384, a multiple of 16, default 4096.
  uint32_t in_capsule_data_bytes = 4096;
  // Largest number of entries of a queue, 2..1024, default 128.
  uint16_t max_queue_depth = 128;
  // I/O queues of one controller, 1..1024, default 64.
  uint16_t max_io_queues = 64;
  // Longest data transfer of one command: bytes, a power of two, 16,384..2,097,152 (the ANA log page takes 8,208),
  // default 1,048,576.
  uint32_t mdts_bytes = 1U << 20;
  // DRAM for user data, for each pair of reactor and RNIC: MiB, 4..65536, default 64.
  uint32_t dram_pool_mib = 64;
  // At most 64.
  std::vector<RdmaDevice> devices;
};

// Limits for all hosts together and for each host.
struct Limits {
  Position position;
  // Controllers of all subsystems at a time, 1..1,000,000; default: no limit but those of the subsystems and the RNICs.
  std::optional<uint32_t> max_controllers;
  // The same of one host NQN.
  std::optional<uint32_t> max_controllers_per_host;
  // I/O queues of all controllers at a time, 1..1,000,000; default: no limit but Rdma::max_io_queues and those of the
  // RNICs.
  std::optional<uint32_t> max_io_queues;
  // The same of one host NQN.
  std::optional<uint32_t> max_io_queues_per_host;
  // New controllers (connections of admin queues) per second, 0..1,000,000, default 1000; 0: no limit.
  uint32_t max_new_controllers_per_s = 1000;
  // New controllers per second from one host address, 0..1,000,000, default 100; 0: no limit.
  uint32_t max_new_controllers_per_s_per_host = 100;
};

// An address that hosts connect to. No two ports have the same id, or the same address and service.
struct Port {
  Position position;
  // Port identifier of the discovery log page (PORTID), 1..65535, always given.
  uint16_t id = 0;
  // IPv4 or IPv6 literal that inet_pton(3) takes; neither multicast nor link-local IPv6. Always given. A wildcard:
  // every address of the family that an RNIC of the machine has, now and later.
  std::string address;
  // The family of `address`.
  AddressFamily family = AddressFamily::ipv4;
  // RDMA-CM port (the discovery log's TRSVCID), 1..65535, default 4420.
  uint16_t service = 4420;
  // Differentiated Services Code Point of the packets that go to hosts, 0..63; default: what the host's connection
  // request asks for.
  std::optional<uint8_t> dscp;
};

// NVMe passthrough: a namespace of an SSD, named by a path or by the SSD's serial number.
struct NvmeBackend {
  // The generic character device, /dev/ngXnY, or a link to the disk beside it; empty with `serial`.
  std::string path{};
  // Of the SSD, 1 to 20 printable ASCII characters: its device is found wherever it is plugged in. Empty with `path`.
  std::string serial{};
  // With `serial`: the namespace on the SSD, 1..4,294,967,294. Default: 0, the only one that the SSD has.
  uint32_t nsid = 0;

  friend bool operator==(const NvmeBackend&, const NvmeBackend&) = default;
};

// A block device by its absolute path.
struct BlockBackend {
  std::string path;

  friend bool operator==(const BlockBackend&, const BlockBackend&) = default;
};

// A regular file by its absolute path; its length is the capacity of the namespace.
struct FileBackend {
  std::string path;
  // Logical block size: bytes, 512 or 4096, default 512.
  uint32_t block_size_bytes = 512;

  friend bool operator==(const FileBackend&, const FileBackend&) = default;
};

// Memory that is lost when the daemon ends.
struct MemoryBackend {
  // Capacity: bytes, at least one block and a multiple of it, at most 2^50.
  uint64_t size_bytes = 0;
  // Logical block size: bytes, 512 or 4096, default 512.
  uint32_t block_size_bytes = 512;
  // RNICs read it themselves; all of it is taken at once.
  bool zero_copy = false;

  friend bool operator==(const MemoryBackend&, const MemoryBackend&) = default;
};

// A device DAX by its absolute path, such as /dev/dax0.0: persistent memory, or CXL memory. RNICs read it themselves.
struct DaxBackend {
  std::string path;
  // Logical block size: bytes, 512 or 4096, default 512.
  uint32_t block_size_bytes = 512;

  friend bool operator==(const DaxBackend&, const DaxBackend&) = default;
};

using Backend = std::variant<NvmeBackend, BlockBackend, FileBackend, MemoryBackend, DaxBackend>;

using Uuid = std::array<uint8_t, 16>;
using Nguid = std::array<uint8_t, 16>;
using Eui64 = std::array<uint8_t, 8>;

// State of the path through a port to the namespaces of an ANA group (Asymmetric Namespace Access).
enum class AnaState : uint8_t { optimized, non_optimized, inaccessible, persistent_loss, change };

// The hash functions of DH-HMAC-CHAP; the values are those of NVMe (HashID).
enum class DhchapHash : uint8_t { sha256 = 1, sha384 = 2, sha512 = 3 };

// The Diffie-Hellman groups of DH-HMAC-CHAP; the values are those of NVMe (DHgID).
enum class DhGroup : uint8_t { null = 0, ffdhe2048 = 1, ffdhe3072 = 2, ffdhe4096 = 3, ffdhe6144 = 4, ffdhe8192 = 5 };

// A host that may connect after it has authenticated (DH-HMAC-CHAP). A host that is listed several times may use any of
// its keys.
struct Host {
  Position position;
  // Always given. Not in Subsystem::allowed_hosts.
  std::string nqn;
  // The file with the host's key: an absolute path, or a name without slash, which is a file in the service manager's
  // $CREDENTIALS_DIRECTORY. Always given, and different for each entry of a host.
  std::string key_file;
  // The file with the key with which the controller authenticates to the host. Default: it does not.
  std::optional<std::string> controller_key_file;
  // The only hash function and the only group that the host may use. Default: the strongest hash function that the host
  // offers, and the smallest group, null last. The same for each entry of a host.
  std::optional<DhchapHash> dhchap_hash;
  std::optional<DhGroup> dhchap_group;
};

// The state of one ANA group of a subsystem on one port.
struct AnaGroup {
  Position position;
  // 1..128, always given.
  uint32_t group = 0;
  // Id of one of the subsystem's ports, always given. No two have the same group and port.
  uint16_t port = 0;
  // Always given.
  AnaState state = AnaState::optimized;
};

// One namespace of a subsystem. No two of a subsystem share a device, a file or an identifier, and no two of a file
// have the same identifier for different devices.
struct Namespace {
  Position position;
  // 1..1024, with Subsystem::ana_by_topology 1..128; unique in the subsystem; default: the lowest that is free. Always
  // resolved.
  uint32_t nsid = 0;
  Backend backend;
  // Position of the key that names `backend`.
  Position backend_position;
  // Identifiers, most significant byte first, never all zero. Default: none (the daemon then chooses one and keeps it).
  std::optional<Uuid> uuid;
  std::optional<Nguid> nguid;
  std::optional<Eui64> eui64;
  // NQNs of the hosts that see the namespace, among those that may connect; default: all.
  std::vector<std::string> visible_to;
  // Whether hosts may only read it, default false.
  bool read_only = false;
  // Default: prefer for NvmeBackend, off for the others. Other values than off only for NvmeBackend and BlockBackend.
  P2pMode p2p = P2pMode::off;
  // Default: spill; with P2pMode::require always wait.
  P2pWhenDry p2p_when_dry = P2pWhenDry::spill;
  // PCI address of the SSD whose CMB is used, or of another device whose memory the kernel lends, as sysfs spells it
  // («0000:3b:00.0»). Default: the namespace's own SSD.
  std::optional<std::string> p2p_provider;
  // Commands that transfer fewer bytes use DRAM: 0..2,097,152, default 0; above 0 only with P2pMode::prefer.
  uint32_t p2p_min_bytes = 0;
  // The ANA group it belongs to, 1..128, default 1; with Subsystem::ana_by_topology always `nsid`.
  uint32_t ana_group = 1;
  // I/O commands of all hosts per second, 0..100,000,000, default 0: no limit. More commands wait.
  uint32_t max_iops = 0;
  // Data of all hosts: MiB per second, 0..1,000,000, default 0: no limit. More commands wait.
  uint32_t max_mib_per_s = 0;
};

// One NVM subsystem. No two have the same NQN.
struct Subsystem {
  Position position;
  // A valid NQN (nqn.h), not the discovery subsystem's. Always given.
  std::string nqn;
  // 1 to 20 printable ASCII characters; default: 16 hexadecimal digits derived from the NQN. Always resolved.
  std::string serial;
  // 1 to 40 printable ASCII characters, default "nvmf-p2p".
  std::string model = "nvmf-p2p";
  // Ids of the ports that offer the subsystem, each in Config::ports; default: all ports. Always resolved.
  std::vector<uint16_t> ports;
  // Whether any host may connect, default false. If not, allowed_hosts or hosts is not empty.
  bool allow_any_host = false;
  // NQNs of the hosts that may connect without authentication, default none.
  std::vector<std::string> allowed_hosts;
  // The hosts that may connect after they have authenticated, default none.
  std::vector<Host> hosts;
  // Controllers at a time, 1..65519 (NVMe allows identifiers up to FFEFh); default: no other limit.
  std::optional<uint16_t> max_controllers;
  // Controllers of one host at a time, 1..65519; default: no limit but the one above.
  std::optional<uint16_t> max_controllers_per_host;
  // The identifiers (CNTLID) that its controllers get: 1..65519, the least first. Targets that serve one subsystem
  // together must not share any. Default all, and the daemon starts with a random one of them.
  uint16_t cntlid_min = 1;
  uint16_t cntlid_max = 65519;
  // What administrators call it, for hosts that ask the discovery service for labels: 1 to 256 printable ASCII
  // characters; default none.
  std::optional<std::string> admin_label;
  // Whether every host of the subsystem may reset it (NVM Subsystem Reset), which disconnects all its hosts; default
  // false.
  bool subsystem_reset = false;
  // Whether its hosts may protect namespaces against writing for ever, which nobody can undo; default false.
  bool permanent_write_protection = false;
  // Whether the topology decides which ports are optimized for a namespace: those whose RNICs reach the CMB that it
  // uses; default false. `ana` is empty then.
  bool ana_by_topology = false;
  // ANA groups that are not optimized on every port; default none.
  std::vector<AnaGroup> ana;
  // At most 1024, in the order of the file.
  std::vector<Namespace> namespaces;
};

// Another discovery service, which hosts are referred to. No two have the same address and service.
struct Referral {
  Position position;
  // Like Port::address, but of another machine. Always given.
  std::string address;
  AddressFamily family = AddressFamily::ipv4;
  // RDMA-CM port of the other service, 1..65535, default 4420.
  uint16_t service = 4420;
  // Port identifier (PORTID) in the other service, 0..65535, default 0.
  uint16_t port_id = 0;
};

// The discovery service.
struct Discovery {
  Position position;
  // A unique NQN (nqn.h) that no subsystem has. Default: none, only the well-known one.
  std::optional<std::string> nqn;
  // Whether the service is announced by multicast DNS, default false.
  bool mdns = false;
  // Whether hosts must authenticate to the discovery service, with any key that a subsystem has for them; others cannot
  // use it. Default false.
  bool require_authentication = false;
  std::vector<Referral> referrals;
};

// The TCP address where Prometheus reads the metrics. Whoever reaches the address can read them.
struct Metrics {
  Position position;
  // As Port::address, or 0.0.0.0 or :: for all addresses of the machine. Default 127.0.0.1.
  std::string address = "127.0.0.1";
  // 1..65535, default 9482.
  uint16_t port = 9482;

  friend bool operator==(const Metrics& a, const Metrics& b) { return a.address == b.address && a.port == b.port; }
};

// The UNIX sockets of the admin API: whoever may connect to `socket` may use every operation, and whoever may connect
// to `read_only_socket` may ask and change nothing.
struct Admin {
  Position position;
  // Absolute path, at most 107 bytes. Two daemons must not share it.
  std::string socket = "/run/nvmf-p2p/admin.sock";
  // Names of the user and the group that own the socket; default: those of the daemon.
  std::optional<std::string> owner;
  std::optional<std::string> group;
  // Permission bits of the socket, 0..0777, default 0600: to connect, a user needs the right to write.
  uint16_t mode = 0600;
  // Like `socket`, of which it is not the path; default: there is none.
  std::optional<std::string> read_only_socket;
  // The same of this socket, whose owner is `owner`. Given only with `read_only_socket`; default 0660.
  std::optional<std::string> read_only_group;
  uint16_t read_only_mode = 0660;
};

// A whole config: the config file with its drop-ins (sources.h).
struct Config {
  // The name of the config file, for messages about a position in it.
  std::string file;
  // The names of its drop-ins, in the order in which they were read.
  std::vector<std::string> drop_ins;
  // Default info.
  LogLevel log_level = LogLevel::info;
  // Default text.
  LogFormat log_format = LogFormat::text;
  Admin admin;
  // Absolute path of the directory of the state that outlives the daemon (reservations, identifiers, write protection),
  // default "/var/lib/nvmf-p2p". Two daemons must not share it. It is created when it does not exist.
  std::string state_dir = "/var/lib/nvmf-p2p";
  // How long SIGTERM waits for hosts and commands to finish: milliseconds, 0..600,000, default 30,000.
  uint32_t shutdown_timeout_ms = 30'000;
  Reactors reactors;
  Rdma rdma;
  Limits limits;
  Discovery discovery;
  // Default: none, off.
  std::optional<Metrics> metrics;
  std::vector<Port> ports;
  // Those of the config file, then those of each drop-in.
  std::vector<Subsystem> subsystems;
};

// The name of the file that `position` is in.
inline const std::string& file_of(const Config& config, Position position) {
  return position.file == 0 ? config.file : config.drop_ins.at(position.file - 1);
}

}  // namespace nvmf::config
