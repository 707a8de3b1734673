#include "config/tables.h"

#include <array>

#include "config/limits.h"
#include "config/rules.h"

namespace nvmf::config {
namespace {

template <class B>
auto set_path() {
  return [](Namespace& ns, std::string path, Position position) {
    ns.backend = B{std::move(path)};
    ns.backend_position = position;
  };
}

template <class B>
std::optional<std::string> get_path(const Namespace& ns) {
  const auto* backend = std::get_if<B>(&ns.backend);
  return backend != nullptr ? std::optional(backend->path) : std::nullopt;
}

void set_nvme(Namespace& ns, NvmeBackend nvme, Position position) {
  ns.backend = std::move(nvme);
  ns.backend_position = position;
}

std::optional<NvmeBackend> get_nvme(const Namespace& ns) {
  const auto* nvme = std::get_if<NvmeBackend>(&ns.backend);
  return nvme != nullptr ? std::optional(*nvme) : std::nullopt;
}

const Table<NvmeBackend>& ssd_table() {
  static const Table<NvmeBackend> table = {
      "an SSD",
      "An SSD by its serial number, wherever it is plugged in.",
      {
          required(key("serial", &NvmeBackend::serial, Ascii{kLongestSerial},
                       "Serial number, as \"nvme list\" shows it. Exactly one SSD of the machine must have it.")),
          without_default(key("nsid", &NvmeBackend::nsid, Integer{1, kMostSsdNamespaces},
                              "The namespace on the SSD. Default: the only one that the SSD has.")),
      },
      nullptr};
  return table;
}

// What "nvme" names: the path of a device, or an object that describes the SSD.
struct SsdNamespace {
  bool read(const Value& value, NvmeBackend& out, Reader& reader) const {
    if (value.as<Object>() != nullptr) return by_serial().read(value, out, reader) && !out.serial.empty();
    if (value.as<std::string>() != nullptr) return by_path().read(value, out.path, reader);
    reader.wrong_type(value, "a path or an object",
                      "write the path of a generic character device, such as \"/dev/ng0n1\", or { \"serial\": "
                      "\"...\" }");
    return false;
  }
  Json literal(const NvmeBackend& nvme) const {
    return nvme.serial.empty() ? by_path().literal(nvme.path) : by_serial().literal(nvme);
  }
  Json schema() const { return {{"anyOf", {by_path().schema(), by_serial().schema()}}}; }

 private:
  static Path by_path() { return {PathRole::nvme_device}; }
  static ObjectOf<NvmeBackend> by_serial() { return {ssd_table()}; }
};

void set_memory(Namespace& ns, uint64_t size_bytes, Position position) {
  ns.backend = MemoryBackend{size_bytes};
  ns.backend_position = position;
}

std::optional<uint64_t> get_memory(const Namespace& ns) {
  const auto* memory = std::get_if<MemoryBackend>(&ns.backend);
  return memory != nullptr ? std::optional(memory->size_bytes) : std::nullopt;
}

// Read after the backends. When the backend has its own block size, check_namespace() reports the key.
void set_block_size(Namespace& ns, uint32_t block_size_bytes, Position) {
  if (auto* file = std::get_if<FileBackend>(&ns.backend)) file->block_size_bytes = block_size_bytes;
  if (auto* memory = std::get_if<MemoryBackend>(&ns.backend)) memory->block_size_bytes = block_size_bytes;
  if (auto* dax = std::get_if<DaxBackend>(&ns.backend)) dax->block_size_bytes = block_size_bytes;
}

std::optional<uint32_t> get_block_size(const Namespace& ns) {
  const uint32_t usual = FileBackend{}.block_size_bytes;
  uint32_t block_size_bytes = usual;
  if (const auto* file = std::get_if<FileBackend>(&ns.backend)) block_size_bytes = file->block_size_bytes;
  if (const auto* memory = std::get_if<MemoryBackend>(&ns.backend)) block_size_bytes = memory->block_size_bytes;
  if (const auto* dax = std::get_if<DaxBackend>(&ns.backend)) block_size_bytes = dax->block_size_bytes;
  return block_size_bytes != usual ? std::optional(block_size_bytes) : std::nullopt;
}

// Read after the backends; check_namespace() reports the key of others.
void set_zero_copy(Namespace& ns, bool zero_copy, Position) {
  if (auto* memory = std::get_if<MemoryBackend>(&ns.backend)) memory->zero_copy = zero_copy;
}

std::optional<bool> get_zero_copy(const Namespace& ns) {
  const auto* memory = std::get_if<MemoryBackend>(&ns.backend);
  return memory != nullptr && memory->zero_copy ? std::optional(true) : std::nullopt;
}

// When it is left out, check_namespace() chooses the default.
Json written_p2p(const Namespace& ns) {
  const bool passthrough = std::holds_alternative<NvmeBackend>(ns.backend);
  const P2pMode left_out = passthrough ? P2pMode::prefer : P2pMode::off;
  return ns.p2p != left_out ? Json(to_string(ns.p2p)) : Json();
}

Json written_count(const Reactors& reactors) { return reactors.cores.empty() ? Json(reactors.count) : Json(); }

// A row with its own way of writing.
template <class T>
Key<T> written_by(Json (*write)(const T&), Key<T> row) {
  row.write = write;
  return row;
}

const Table<Reactors>& reactors_table() {
  static const Table<Reactors> table = {
      "reactors",
      "The threads that run I/O queues. A reactor sleeps when no queue has work for it.",
      {
          key("cores", &Reactors::cores, ListOf<Integer>{{0, 1023}, {1, 256}, "core"},
              "CPU numbers: one reactor is pinned to each. Instead of \"count\"."),
          written_by(written_count, key("count", &Reactors::count, Integer{1, 256},
                                        "Number of reactors, which may run on any CPU. Instead of \"cores\".")),
          key("poll_us", &Reactors::poll_us, Integer{0, 1'000'000},
              "How long a reactor keeps polling after its last work before it sleeps, in microseconds."),
      },
      check_reactors,
      {{"not", {{"required", {"cores", "count"}}}}}};
  return table;
}

const Table<RdmaDevice>& rdma_device_table() {
  static const Table<RdmaDevice> table = {
      "an RNIC",
      "What is special about one RNIC.",
      {
          required(key("name", &RdmaDevice::name, Ascii{63}, "Its name in /sys/class/infiniband, such as mlx5_0.")),
          key("remote_invalidate", &RdmaDevice::remote_invalidate, Word{kRemoteInvalidateNames},
              "Whether answers invalidate the hosts' keys (SEND with invalidate): when the device has shown at start "
              "that it can, untried, or never."),
          key("iwarp", &RdmaDevice::iwarp, Boolean{},
              "Serve the RNIC although its transport is iWARP, where each host that knows or guesses a memory key can "
              "overwrite the data of other hosts."),
      },
      check_rdma_device};
  return table;
}

const Table<Rdma>& rdma_table() {
  static const Table<Rdma> table = {
      "RDMA settings",
      "Limits and memory of the RDMA transport, the same for every port.",
      {
          key("in_capsule_data_bytes", &Rdma::in_capsule_data_bytes,
              Integer{0, kMostInCapsuleBytes, kInCapsuleStepBytes},
              "Data that a command capsule may carry, in bytes: short writes then need no RDMA READ."),
          key("max_queue_depth", &Rdma::max_queue_depth, Integer{2, kMostQueueDepth},
              "Largest number of entries of an I/O queue."),
          key("max_io_queues", &Rdma::max_io_queues, Integer{1, kMostIoQueues},
              "Largest number of I/O queues of one controller."),
          key("mdts_bytes", &Rdma::mdts_bytes, power_of_two(kLeastMdtsBytes, kMostMdtsBytes),
              "Longest data transfer of one command, in bytes."),
          key("dram_pool_mib", &Rdma::dram_pool_mib, Integer{4, 65536},
              "DRAM for user data, for each pair of reactor and RNIC, in MiB."),
          key("devices", &Rdma::devices, ListOf<ObjectOf<RdmaDevice>>{{rdma_device_table()}, {0, 64}},
              "RNICs about which something is special."),
      },
      check_rdma};
  return table;
}

const Table<Limits>& limits_table() {
  static const Table<Limits> table = {
      "limits",
      "Limits for all hosts together and for each host.",
      {
          key("max_controllers", &Limits::max_controllers, Integer{1, 1'000'000},
              "Largest number of controllers at a time, of all subsystems together. Default: no limit."),
          key("max_controllers_per_host", &Limits::max_controllers_per_host, Integer{1, 1'000'000},
              "Largest number of controllers of one host at a time, in all subsystems together. Default: no limit."),
          key("max_io_queues", &Limits::max_io_queues, Integer{1, 1'000'000},
              "Largest number of I/O queues at a time, of all controllers together; when it is reached, later "
              "controllers get fewer. Default: no limit."),
          key("max_io_queues_per_host", &Limits::max_io_queues_per_host, Integer{1, 1'000'000},
              "Largest number of I/O queues of one host at a time, in all subsystems together. Default: no limit."),
          key("max_new_controllers_per_s", &Limits::max_new_controllers_per_s, Integer{0, 1'000'000},
              "New controllers per second, of all hosts together; more wait for up to 2 s, or are refused, and the "
              "hosts "
              "may try again. 0: no limit."),
          key("max_new_controllers_per_s_per_host", &Limits::max_new_controllers_per_s_per_host, Integer{0, 1'000'000},
              "New controllers per second from one host address; more wait for up to 2 s, or are refused, and the host "
              "may try again. 0: no limit."),
      },
      nullptr};
  return table;
}

const Table<Port>& port_table() {
  static const Table<Port> table = {
      "a port",
      "An address that hosts connect to.",
      {
          required(key("id", &Port::id, Integer{1, kMostPortId}, "Identifier of the port; subsystems refer to it.")),
          required(
              key("address", &Port::address, Address{kOurAddress, true},
                  "IPv4 or IPv6 address of an RDMA interface; 0.0.0.0 or :: for every IPv4 or IPv6 address that an "
                  "RNIC of the machine has, now and later.")),
          key("service", &Port::service, Integer{1, kMostService}, "RDMA-CM port number."),
          key("dscp", &Port::dscp, Integer{0, 63},
              "Differentiated Services Code Point (DSCP) of the packets to hosts. Default: the one that the host asks "
              "for."),
      },
      check_port};
  return table;
}

const Table<Referral>& referral_table() {
  static const Table<Referral> table = {
      "a referral",
      "Another discovery service, which hosts are referred to.",
      {
          required(
              key("address", &Referral::address, Address{kTheirAddress}, "IPv4 or IPv6 address of the other service.")),
          key("service", &Referral::service, Integer{1, kMostService}, "RDMA-CM port number of the other service."),
          key("port_id", &Referral::port_id, Integer{0, kMostPortId}, "Identifier of the port in the other service."),
      },
      check_referral};
  return table;
}

const Table<Discovery>& discovery_table() {
  static const Table<Discovery> table = {
      "discovery settings",
      "The discovery service, which tells hosts what they may connect to.",
      {
          key("nqn", &Discovery::nqn, Nqn{}, "A unique NQN of the discovery subsystem, besides the well-known one."),
          key("mdns", &Discovery::mdns, Boolean{},
              "Whether the service is announced by multicast DNS (_nvme-disc._tcp), which needs the Avahi daemon."),
          key("require_authentication", &Discovery::require_authentication, Boolean{},
              "Whether hosts must authenticate to the discovery service, with any key that a subsystem has for them in "
              "\"hosts\". Other hosts cannot use it."),
          key("referrals", &Discovery::referrals, ListOf<ObjectOf<Referral>>{{referral_table()}, {0, kMostReferrals}},
              "Other discovery services, which hosts are referred to."),
      },
      check_discovery};
  return table;
}

const Table<Metrics>& metrics_table() {
  static const Table<Metrics> table = {
      "metrics settings",
      "A TCP address that serves Prometheus at /metrics, and at / a page to look at, without authentication. Default: "
      "none.",
      {
          key("address", &Metrics::address, Address{kOurTcpAddress, true},
              "IPv4 or IPv6 address; 0.0.0.0 or :: for all addresses of the machine."),
          key("port", &Metrics::port, Integer{1, 65535}, "TCP port."),
      },
      nullptr};
  return table;
}

const Table<Admin>& admin_table() {
  static const Table<Admin> table = {
      "admin settings",
      "The admin API, HTTP with JSON on a UNIX socket, which the nvmf-p2p commands use. Every user who may connect may "
      "use every operation; on the read-only socket, only those that change nothing.",
      {
          key("socket", &Admin::socket, Path{PathRole::socket}, "Path of the socket; its directory is created."),
          key("owner", &Admin::owner, Ascii{32},
              "User who owns the socket. Default: the user that the daemon runs as."),
          key("group", &Admin::group, Ascii{32}, "Group that owns the socket. Default: the daemon's group."),
          key("mode", &Admin::mode, FileMode{},
              "Permission bits of the socket, octal; to connect, a user needs the right to write."),
          key("read_only_socket", &Admin::read_only_socket, Path{PathRole::socket},
              "Path of a second socket, where clients may ask (GET) and change nothing. Default: none."),
          key("read_only_group", &Admin::read_only_group, Ascii{32},
              "Group that owns the read-only socket. Default: the daemon's group."),
          key("read_only_mode", &Admin::read_only_mode, FileMode{}, "Permission bits of the read-only socket, octal."),
      },
      check_admin};
  return table;
}

// The part of check_namespace() that the schema can express.
Json namespace_conditions() {
  return Json::parse(R"({
    "oneOf": [{"required": ["nvme"]}, {"required": ["block"]}, {"required": ["file"]}, {"required": ["memory"]},
              {"required": ["dax"]}],
    "allOf": [
      {"if": {"required": ["zero_copy"]}, "then": {"required": ["memory"]}},
      {"if": {"anyOf": [{"required": ["file"]}, {"required": ["memory"]}, {"required": ["dax"]}]},
       "then": {"properties": {"p2p": {"const": "off"}}},
       "else": {"properties": {"block_size": false}}},
      {"if": {"properties": {"p2p": {"const": "require"}}, "required": ["p2p"]},
       "then": {"properties": {"p2p_when_dry": {"const": "wait"}, "p2p_min_bytes": {"const": 0}}}}
    ]
  })");
}

const Table<Namespace>& namespace_table() {
  static const Table<Namespace> table = {
      "a namespace",
      "A namespace: an NVMe namespace, block device, file, memory or device DAX.",
      {
          without_default(key("nsid", &Namespace::nsid, Integer{1, kMostNamespaces},
                              "Namespace identifier, unique in the subsystem. Default: the lowest free identifier.")),
          key_through<Namespace, NvmeBackend>(
              "nvme", SsdNamespace{},
              "NVMe passthrough: generic character device, such as /dev/ng0n1, or the serial number of the SSD.",
              set_nvme, get_nvme),
          key_through<Namespace, std::string>("block", Path{PathRole::block_device}, "Block device.",
                                              set_path<BlockBackend>(), get_path<BlockBackend>),
          key_through<Namespace, std::string>("file", Path{PathRole::file}, "Regular file; its length is the capacity.",
                                              set_path<FileBackend>(), get_path<FileBackend>),
          key_through<Namespace, uint64_t>("memory", Size{kLeastMemoryBytes, kMostMemoryBytes},
                                           "Capacity of a namespace in memory, lost when the daemon ends: bytes, or a "
                                           "string such as \"64MiB\".",
                                           set_memory, get_memory),
          key_through<Namespace, std::string>(
              "dax", Path{PathRole::dax_device},
              "Device DAX, such as /dev/dax0.0: persistent memory, or CXL memory. RNICs "
              "read it themselves, so that no CPU copies what hosts read.",
              set_path<DaxBackend>(), get_path<DaxBackend>),
          key_through<Namespace, uint32_t>("block_size", IntegerOf{{512, 4096}, "512 or 4096"},
                                           "Logical block size of a file or of memory, in bytes. Default: 512.",
                                           set_block_size, get_block_size),
          key_through<Namespace, bool>("zero_copy", Boolean{},
                                       "Of a namespace in memory: RNICs read it themselves, so that no CPU copies what "
                                       "hosts read. All of its memory is taken at the start. Default: false.",
                                       set_zero_copy, get_zero_copy),
          key("uuid", &Namespace::uuid, Identifier<16>{kUuidForm},
              "UUID that hosts see. Default: the SSD's own identifiers, else a UUID derived from the subsystem's NQN "
              "and the namespace identifier."),
          key("nguid", &Namespace::nguid, Identifier<16>{kNguidForm}, "NGUID that hosts see: 32 hexadecimal digits."),
          key("eui64", &Namespace::eui64, Identifier<8>{kEui64Form}, "EUI-64 that hosts see: 16 hexadecimal digits."),
          key("visible_to", &Namespace::visible_to, ListOf<NqnOrName>{kHostName, {0, kMostHosts}, "host NQN"},
              "NQNs of the hosts that see the namespace. Default: all hosts that may connect to the subsystem."),
          key("read_only", &Namespace::read_only, Boolean{}, "Whether hosts may only read the namespace."),
          written_by(written_p2p,
                     always_written(without_default(
                         key("p2p", &Namespace::p2p, Word{kP2pModeNames},
                             "Whether data moves through an SSD's controller memory buffer (CMB). \"off\": never. "
                             "\"prefer\": where a self-test proved that it works. \"require\": the namespace is "
                             "enabled only when the CMB works. Only for \"nvme\" and \"block\". Default: \"prefer\" "
                             "for \"nvme\", else \"off\".")))),
          without_default(key("p2p_when_dry", &Namespace::p2p_when_dry, Word{kP2pWhenDryNames},
                              "What a command does when no CMB buffer is free: it waits, or spills to DRAM. Default: "
                              "\"spill\"; with p2p \"require\" only \"wait\".")),
          key("p2p_provider", &Namespace::p2p_provider, PciAddress{},
              "PCI address of the SSD whose CMB is used, or of another device whose memory the kernel lends "
              "(p2pmem/allocate in sysfs). Default: the namespace's own SSD."),
          key("p2p_min_bytes", &Namespace::p2p_min_bytes, Integer{0, kMostMdtsBytes},
              "Commands that transfer fewer bytes use DRAM. Only with p2p \"prefer\"."),
          key("ana_group", &Namespace::ana_group, Integer{1, kMostAnaGroups},
              "ANA group (Asymmetric Namespace Access). All namespaces of a group have the same state on a port. Not "
              "with \"ana\": \"by_topology\"."),
          key("max_iops", &Namespace::max_iops, Integer{0, kMostIops},
              "I/O commands per second, of all hosts together; more commands wait. 0: no limit."),
          key("max_mib_per_s", &Namespace::max_mib_per_s, Integer{0, kMostMibPerSecond},
              "Data read, written, compared, verified and copied, in MiB per second, of all hosts together; more "
              "commands wait. 0: no limit."),
      },
      check_namespace,
      namespace_conditions()};
  return table;
}

const Table<AnaGroup>& ana_table() {
  static const Table<AnaGroup> table = {
      "an ANA state",
      "State of the path through one port to the namespaces of one ANA group (Asymmetric Namespace Access).",
      {
          required(key("group", &AnaGroup::group, Integer{1, kMostAnaGroups}, "The \"ana_group\" of the namespaces.")),
          required(key("port", &AnaGroup::port, Integer{1, kMostPortId}, "Id of a port of the subsystem.")),
          required(key(
              "state", &AnaGroup::state, Word{kAnaStateNames},
              "The state that hosts see. Hosts prefer optimized paths, then use non-optimized ones, and no others.")),
      },
      nullptr};
  return table;
}

// What "ana" says.
struct Ana {
  bool by_topology = false;
  std::vector<AnaGroup> states{};
};

// States of groups on ports, or the word that leaves the states to the topology.
struct StatesOrTopology {
  bool read(const Value& value, Ana& out, Reader& reader) const {
    if (value.as<std::string>() == nullptr) return states().read(value, out.states, reader);
    constexpr std::array<std::string_view, 1> kWords = {kByTopology};
    out.by_topology = read_word(value, kWords, reader).has_value();
    return out.by_topology;
  }
  Json literal(const Ana& ana) const { return ana.by_topology ? Json(kByTopology) : states().literal(ana.states); }
  Json schema() const { return {{"anyOf", {states().schema(), {{"enum", Json::array({kByTopology})}}}}}; }

 private:
  static constexpr std::string_view kByTopology = "by_topology";
  static ListOf<ObjectOf<AnaGroup>> states() { return {{ana_table()}, {0, kMostAnaStates}}; }
};

void set_ana(Subsystem& subsystem, Ana ana, Position) {
  subsystem.ana_by_topology = ana.by_topology;
  subsystem.ana = std::move(ana.states);
}

std::optional<Ana> get_ana(const Subsystem& subsystem) {
  if (!subsystem.ana_by_topology && subsystem.ana.empty()) return std::nullopt;
  return Ana{subsystem.ana_by_topology, subsystem.ana};
}

const Table<Host>& host_table() {
  static const Table<Host> table = {
      "a host",
      "A host that may connect after it has authenticated (DH-HMAC-CHAP). While a host is listed several times, each "
      "of "
      "its keys is valid.",
      {
          required(key("nqn", &Host::nqn, kHostName, "NQN of the host.")),
          required(
              key("key_file", &Host::key_file, KeyFile{},
                  "File with the host's key (DHHC-1:...), which only its owner may read. A name without a slash is "
                  "a file in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=).")),
          key("controller_key_file", &Host::controller_key_file, KeyFile{},
              "File with the key with which the controller authenticates to the host. Default: it does not."),
          key("dhchap_hash", &Host::dhchap_hash, Word{kDhchapHashNames},
              "The hash function that the host must use. Default: the strongest that the host offers."),
          key("dhchap_group", &Host::dhchap_group, Word{kDhGroupNames},
              "The Diffie-Hellman group that the host must use. Default: the smallest that the host offers, and "
              "\"null\" when it offers nothing else."),
      },
      nullptr};
  return table;
}

const Table<Subsystem>& subsystem_table() {
  static const Table<Subsystem> table = {
      "a subsystem",
      "An NVM subsystem: what a host connects to.",
      {
          required(key("nqn", &Subsystem::nqn, kSubsystemName,
                       "NVMe Qualified Name, such as nqn.2026-01.io.example:disk1.")),
          without_default(key("serial", &Subsystem::serial, Ascii{kLongestSerial},
                              "Serial number that hosts see. Default: derived from the NQN.")),
          key("model", &Subsystem::model, Ascii{kLongestModel}, "Model number that hosts see."),
          always_written(key("ports", &Subsystem::ports, ListOf<Integer>{{1, kMostPortId}, {0, kMostPorts}, "port"},
                             "Ids of the ports that offer the subsystem. Default: all ports.")),
          key("allow_any_host", &Subsystem::allow_any_host, Boolean{}, "Whether any host may connect."),
          key("allowed_hosts", &Subsystem::allowed_hosts, ListOf<NqnOrName>{kHostName, {0, kMostHosts}, "host NQN"},
              "NQNs of the hosts that may connect without authentication. Any host can claim such an NQN."),
          key("hosts", &Subsystem::hosts, ListOf<ObjectOf<Host>>{{host_table()}, {0, kMostHosts}},
              "The hosts that may connect after they have authenticated with a key."),
          key("max_controllers", &Subsystem::max_controllers, Integer{1, kMostControllers},
              "Largest number of controllers (one for each connected host and path) at a time. Default: no limit."),
          key("max_controllers_per_host", &Subsystem::max_controllers_per_host, Integer{1, kMostControllers},
              "Largest number of controllers of one host (one for each of its paths) at a time. Default: no limit."),
          key("cntlid_min", &Subsystem::cntlid_min, Integer{1, kMostControllers},
              "Lowest controller identifier. Targets that serve one subsystem together need separate ranges. With "
              "the default range, the first identifier is random."),
          key("cntlid_max", &Subsystem::cntlid_max, Integer{1, kMostControllers}, "Highest controller identifier."),
          key("admin_label", &Subsystem::admin_label, Ascii{kLongestAdminLabel},
              "What administrators call the subsystem, for hosts that ask the discovery service for labels. Default: "
              "none."),
          key("subsystem_reset", &Subsystem::subsystem_reset, Boolean{},
              "Whether every host of the subsystem may reset it (NVM Subsystem Reset). A reset disconnects all its "
              "hosts."),
          key("permanent_write_protection", &Subsystem::permanent_write_protection, Boolean{},
              "Whether hosts may write-protect namespaces for ever. Nobody can undo that."),
          key_through<Subsystem, Ana>(
              "ana", StatesOrTopology{},
              "States of ANA groups on ports. \"by_topology\": for each namespace, the ports whose RNICs reach the CMB "
              "that it uses are optimized, and the others are non-optimized as long as there is such a port. Default: "
              "optimized on all ports.",
              set_ana, get_ana),
          key("namespaces", &Subsystem::namespaces,
              ListOf<ObjectOf<Namespace>>{{namespace_table()}, {0, kMostNamespaces}}, "The namespaces."),
      },
      check_subsystem,
      Json::parse(R"({"anyOf": [
        {"properties": {"allow_any_host": {"const": true}}, "required": ["allow_any_host"]},
        {"properties": {"allowed_hosts": {"minItems": 1}}, "required": ["allowed_hosts"]},
        {"properties": {"hosts": {"minItems": 1}}, "required": ["hosts"]}
      ]})")};
  return table;
}

Key<Config> schema_key() {
  return key_through<Config, std::string>(
      "$schema", Text{}, "This schema, for editors.", [](Config&, const std::string&, Position) {},
      [](const Config&) { return std::optional<std::string>(); });
}

Key<Config> subsystems_key(std::string_view doc) {
  const ListOf<ObjectOf<Subsystem>> subsystems{{subsystem_table()}, {0, kMostSubsystems}};
  return required(key("subsystems", &Config::subsystems, subsystems, doc));
}

template <class T>
Json values(const Table<T>& table, const T& in) {
  Json object = Json::object();
  for (const Key<T>& key : table.keys) object[key.name] = key.write(in);
  return object;
}

}  // namespace

const Table<Config>& config_table() {
  static const Table<Config> table = {
      "the config",
      "Configuration of nvmf-p2p, an NVMe over Fabrics target for RDMA. // and /* */ comments are allowed.",
      {
          schema_key(),
          key("log_level", &Config::log_level, Word{kLogLevelNames}, "The least severe messages that are logged."),
          key("log_format", &Config::log_format, Word{kLogFormatNames},
              "\"text\": lines of text, which go to the journal when systemd started the daemon. \"json\": a JSON "
              "object on each line."),
          key("admin", &Config::admin, ObjectOf{admin_table()}, admin_table().doc),
          key("state_dir", &Config::state_dir, Path{PathRole::directory},
              "Directory of the state that outlives the daemon: reservations, identifiers, write protection, proofs of "
              "CMBs. It is created when it does not exist."),
          key("shutdown_timeout_ms", &Config::shutdown_timeout_ms, Integer{0, 600'000},
              "How long SIGTERM waits for commands in flight, in milliseconds. A disk may have commands for 29 s "
              "before "
              "the daemon calls them overdue; where the process ends sooner, hosts repeat them by other paths, and the "
              "disk may execute the old ones last."),
          key("reactors", &Config::reactors, ObjectOf{reactors_table()}, reactors_table().doc),
          key("rdma", &Config::rdma, ObjectOf{rdma_table()}, rdma_table().doc),
          key("limits", &Config::limits, ObjectOf{limits_table()}, limits_table().doc),
          key("discovery", &Config::discovery, ObjectOf{discovery_table()}, discovery_table().doc),
          key("metrics", &Config::metrics, ObjectOf{metrics_table()}, metrics_table().doc),
          required(key("ports", &Config::ports, ListOf<ObjectOf<Port>>{{port_table()}, {0, kMostPorts}},
                       "Addresses to listen on.")),
          subsystems_key("The subsystems. Drop-ins, files *.json in the directory conf.d beside this file, may have "
                         "more of them."),
      },
      nullptr};
  return table;
}

const Table<Config>& drop_in_table() {
  static const Table<Config> table = {
      "a drop-in",
      "A drop-in of nvmf-p2p's config: a file *.json in the directory conf.d beside the config file, with some of the "
      "subsystems. // and /* */ comments are allowed.",
      {
          schema_key(),
          subsystems_key("The subsystems that this file adds."),
      },
      nullptr};
  return table;
}

Json values_of(const Namespace& space) { return values(namespace_table(), space); }

Json values_of(const Subsystem& subsystem) {
  Json all = values(subsystem_table(), subsystem);
  all.erase("namespaces");
  return all;
}

Json values_of(const Config& config) {
  Json all = values(config_table(), config);
  all.erase("ports");
  all.erase("subsystems");
  return all;
}

}  // namespace nvmf::config
