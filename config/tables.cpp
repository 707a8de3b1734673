#include "config/tables.h"

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

void set_memory(Namespace& ns, uint64_t size_bytes, Position position) {
  ns.backend = MemoryBackend{size_bytes};
  ns.backend_position = position;
}

// Read after the backends. Where the backend has no block size of ours, check_namespace() complains.
void set_block_size(Namespace& ns, uint32_t block_size_bytes, Position) {
  if (auto* file = std::get_if<FileBackend>(&ns.backend)) file->block_size_bytes = block_size_bytes;
  if (auto* memory = std::get_if<MemoryBackend>(&ns.backend)) memory->block_size_bytes = block_size_bytes;
}

const Table<Reactors>& reactors_table() {
  static const Table<Reactors> table = {
      "reactors",
      "The data threads. Each runs I/O queues and nothing else, and sleeps when it has none to serve.",
      {
          key("cores", &Reactors::cores, ListOf<Integer>{{0, 1023}, {1, 256}, "core"},
              "CPU numbers: one reactor is pinned to each. Instead of \"count\"."),
          key("count", &Reactors::count, Integer{1, 256}, "Number of reactors, not pinned. Instead of \"cores\"."),
          key("poll_us", &Reactors::poll_us, Integer{0, 1'000'000},
              "How long a reactor polls on after its last work before it sleeps, in microseconds."),
      },
      check_reactors,
      {{"not", {{"required", {"cores", "count"}}}}}};
  return table;
}

const Table<Rdma>& rdma_table() {
  static const Table<Rdma> table = {
      "RDMA settings",
      "What every RDMA port offers.",
      {
          key("in_capsule_data_bytes", &Rdma::in_capsule_data_bytes, Integer{0, 16384, 16},
              "Data that a command capsule may carry, in bytes: short writes then need no RDMA READ."),
          key("max_queue_depth", &Rdma::max_queue_depth, Integer{2, 1024}, "Entries of an I/O queue."),
          key("max_io_queues", &Rdma::max_io_queues, Integer{1, 1024}, "I/O queues of one controller."),
          key("mdts_bytes", &Rdma::mdts_bytes, power_of_two(4096, 2U << 20U),
              "Longest data transfer of one command, in bytes."),
          key("dram_pool_mib", &Rdma::dram_pool_mib, Integer{4, 65536},
              "DRAM for user data, of each reactor on each RDMA device, in MiB."),
      },
      nullptr};
  return table;
}

const Table<Port>& port_table() {
  static const Table<Port> table = {
      "a port",
      "An address that hosts connect to.",
      {
          required(key("id", &Port::id, Integer{1, 65535}, "Identifier of the port; subsystems refer to it.")),
          required(key("address", &Port::address, Address{}, "IPv4 or IPv6 address of an RDMA interface.")),
          key("service", &Port::service, Integer{1, 65535}, "RDMA-CM port number."),
      },
      check_port};
  return table;
}

const Table<Referral>& referral_table() {
  static const Table<Referral> table = {
      "a referral",
      "Another discovery service, which hosts are told of.",
      {
          required(key("address", &Referral::address, Address{kTheirAddress}, "Its IPv4 or IPv6 address.")),
          key("service", &Referral::service, Integer{1, 65535}, "Its RDMA-CM port number."),
          key("port_id", &Referral::port_id, Integer{0, 65535}, "Identifier of that port there."),
      },
      check_referral};
  return table;
}

const Table<Discovery>& discovery_table() {
  static const Table<Discovery> table = {
      "discovery settings",
      "The discovery service, which tells hosts what they may connect to.",
      {
          key("nqn", &Discovery::nqn, Nqn{}, "An NQN of its own, which it has besides the well-known one."),
          key("mdns", &Discovery::mdns, Boolean{},
              "Whether it is announced by multicast DNS (_nvme-disc._tcp), which needs the Avahi daemon."),
          key("referrals", &Discovery::referrals, ListOf<ObjectOf<Referral>>{{referral_table()}, {0, 256}},
              "Other discovery services."),
      },
      check_discovery};
  return table;
}

const Table<Admin>& admin_table() {
  static const Table<Admin> table = {
      "admin settings",
      "The admin API, HTTP with JSON on a UNIX socket, which the nvmf-p2p commands use. Who may connect may do all.",
      {
          key("socket", &Admin::socket, Path{PathRole::socket}, "The socket; its directory is made."),
          key("owner", &Admin::owner, Ascii{32}, "User who owns it. Default: the one whom the daemon runs as."),
          key("group", &Admin::group, Ascii{32}, "Group that owns it. Default: the one of the daemon."),
          key("mode", &Admin::mode, FileMode{}, "Permission bits of it, octal; connecting takes the right to write."),
      },
      nullptr};
  return table;
}

// What the schema can say of check_namespace().
Json namespace_conditions() {
  return Json::parse(R"({
    "oneOf": [{"required": ["nvme"]}, {"required": ["block"]}, {"required": ["file"]}, {"required": ["memory"]}],
    "allOf": [
      {"if": {"anyOf": [{"required": ["file"]}, {"required": ["memory"]}]},
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
      "A namespace: an NVMe namespace, block device, file or memory.",
      {
          without_default(key("nsid", &Namespace::nsid, Integer{1, 1024},
                              "Namespace identifier, unique in the subsystem. Default: the lowest that is free.")),
          key_through<Namespace, std::string>("nvme", Path{PathRole::nvme_device},
                                              "NVMe passthrough: generic character device, such as /dev/ng0n1.",
                                              set_path<NvmeBackend>()),
          key_through<Namespace, std::string>("block", Path{PathRole::block_device}, "Block device.",
                                              set_path<BlockBackend>()),
          key_through<Namespace, std::string>("file", Path{PathRole::file}, "Regular file; its length is the capacity.",
                                              set_path<FileBackend>()),
          key_through<Namespace, uint64_t>("memory", Size{512, uint64_t{1} << 50U},
                                           "Capacity of a namespace in memory, lost when the daemon ends: bytes, or a "
                                           "string such as \"64MiB\".",
                                           set_memory),
          key_through<Namespace, uint32_t>("block_size", IntegerOf{{512, 4096}, "512 or 4096"},
                                           "Logical block size of a file or of memory, in bytes. Default: 512.",
                                           set_block_size),
          key("uuid", &Namespace::uuid, Identifier<16>{kUuidForm}, "UUID that hosts see. Default: a derived one."),
          key("nguid", &Namespace::nguid, Identifier<16>{kNguidForm}, "NGUID that hosts see: 32 hexadecimal digits."),
          key("eui64", &Namespace::eui64, Identifier<8>{kEui64Form}, "EUI-64 that hosts see: 16 hexadecimal digits."),
          key("visible_to", &Namespace::visible_to, ListOf<Nqn>{{}, {0, 4096}, "host NQN"},
              "NQNs of the hosts that see it. Default: all that may connect to the subsystem."),
          key("read_only", &Namespace::read_only, Boolean{}, "Whether hosts may only read it."),
          without_default(key("p2p", &Namespace::p2p, Word{kP2pModeNames},
                              "Whether data moves through an SSD's controller memory buffer (CMB): never, where it is "
                              "proved to work, or not without. Only for \"nvme\" and \"block\". Default: \"prefer\" "
                              "for \"nvme\", else \"off\".")),
          without_default(key("p2p_when_dry", &Namespace::p2p_when_dry, Word{kP2pWhenDryNames},
                              "What a command does when the CMB is used up: it waits, or spills to DRAM. Default: "
                              "\"spill\"; with p2p \"require\" only \"wait\".")),
          key("p2p_provider", &Namespace::p2p_provider, PciAddress{},
              "PCI address of the SSD whose CMB serves. Default: the namespace's own SSD."),
          key("p2p_min_bytes", &Namespace::p2p_min_bytes, Integer{0, 2U << 20U},
              "Commands of fewer bytes use DRAM. Only with p2p \"prefer\"."),
          key("ana_group", &Namespace::ana_group, Integer{1, 128},
              "ANA group (Asymmetric Namespace Access): namespaces whose ways have the same state."),
          key("max_iops", &Namespace::max_iops, Integer{0, 100'000'000},
              "I/O commands per second, of all hosts together; those over it wait. 0: no limit."),
          key("max_mib_per_s", &Namespace::max_mib_per_s, Integer{0, 1'000'000},
              "Data read, written, compared, verified and copied, in MiB per second, of all hosts together; commands "
              "over it wait. 0: no limit."),
      },
      check_namespace,
      namespace_conditions()};
  return table;
}

const Table<AnaGroup>& ana_table() {
  static const Table<AnaGroup> table = {
      "an ANA state",
      "How good a way one port is to the namespaces of one ANA group (Asymmetric Namespace Access).",
      {
          required(key("group", &AnaGroup::group, Integer{1, 128}, "The \"ana_group\" of the namespaces.")),
          required(key("port", &AnaGroup::port, Integer{1, 65535}, "Id of a port of the subsystem.")),
          required(key("state", &AnaGroup::state, Word{kAnaStateNames},
                       "What hosts are told; they use optimized ways first, then non-optimized ones, and no others.")),
      },
      nullptr};
  return table;
}

const Table<Subsystem>& subsystem_table() {
  static const Table<Subsystem> table = {
      "a subsystem",
      "An NVM subsystem: what a host connects to.",
      {
          required(key("nqn", &Subsystem::nqn, Nqn{}, "NVMe Qualified Name, such as nqn.2026-01.io.example:disk1.")),
          without_default(
              key("serial", &Subsystem::serial, Ascii{20}, "Serial number that hosts see. Default: from the NQN.")),
          key("model", &Subsystem::model, Ascii{40}, "Model number that hosts see."),
          key("ports", &Subsystem::ports, ListOf<Integer>{{1, 65535}, {0, 256}, "port"},
              "Ids of the ports that offer it. Default: all ports."),
          key("allow_any_host", &Subsystem::allow_any_host, Boolean{}, "Whether any host may connect."),
          key("allowed_hosts", &Subsystem::allowed_hosts, ListOf<Nqn>{{}, {0, 4096}, "host NQN"},
              "NQNs of the hosts that may connect."),
          key("max_controllers", &Subsystem::max_controllers, Integer{1, 65519},
              "Controllers (one for each connected host and path) at a time. Default: no limit of its own."),
          key("max_controllers_per_host", &Subsystem::max_controllers_per_host, Integer{1, 65519},
              "Controllers of one host (one for each of its paths) at a time. Default: no limit of its own."),
          key("cntlid_min", &Subsystem::cntlid_min, Integer{1, 65519},
              "Least controller identifier. Targets that serve one subsystem together need ranges of their own."),
          key("cntlid_max", &Subsystem::cntlid_max, Integer{1, 65519}, "Greatest controller identifier."),
          key("ana", &Subsystem::ana, ListOf<ObjectOf<AnaGroup>>{{ana_table()}, {0, 4096}},
              "States of ANA groups on ports. Default: optimized on all."),
          key("namespaces", &Subsystem::namespaces, ListOf<ObjectOf<Namespace>>{{namespace_table()}, {0, 1024}},
              "The namespaces."),
      },
      check_subsystem,
      Json::parse(R"({"anyOf": [
        {"properties": {"allow_any_host": {"const": true}}, "required": ["allow_any_host"]},
        {"properties": {"allowed_hosts": {"minItems": 1}}, "required": ["allowed_hosts"]}
      ]})")};
  return table;
}

}  // namespace

const Table<Config>& config_table() {
  static const Table<Config> table = {
      "the config",
      "Configuration of nvmf-p2p, an NVMe over Fabrics target for RDMA. // and /* */ comments are allowed.",
      {
          key_through<Config, std::string>("$schema", Text{}, "This schema, for editors.",
                                           [](Config&, const std::string&, Position) {}),
          key("log_level", &Config::log_level, Word{kLogLevelNames}, "How much is logged."),
          key("admin", &Config::admin, ObjectOf{admin_table()}, admin_table().doc),
          key("state_dir", &Config::state_dir, Path{PathRole::directory},
              "Directory where reservations persist through power loss; made where there is none."),
          key("shutdown_timeout_ms", &Config::shutdown_timeout_ms, Integer{0, 600'000},
              "How long SIGTERM waits for commands in flight, in milliseconds."),
          key("reactors", &Config::reactors, ObjectOf{reactors_table()}, reactors_table().doc),
          key("rdma", &Config::rdma, ObjectOf{rdma_table()}, rdma_table().doc),
          key("discovery", &Config::discovery, ObjectOf{discovery_table()}, discovery_table().doc),
          required(key("ports", &Config::ports, ListOf<ObjectOf<Port>>{{port_table()}, {0, 256}},
                       "Addresses to listen on.")),
          required(key("subsystems", &Config::subsystems, ListOf<ObjectOf<Subsystem>>{{subsystem_table()}, {0, 1024}},
                       "The subsystems.")),
      },
      check_config};
  return table;
}

}  // namespace nvmf::config
