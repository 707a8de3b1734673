// SPDK's target: save_config prints the calls that set it up, by subsystem of SPDK, in the order in which they are
// made.
#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>

#include "config/import.h"
#include "config/import_source.h"
#include "config/import_spdk_bdev.h"
#include "config/limits.h"
#include "config/nqn.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

constexpr std::string_view kNoTls = "TLS is not supported";
constexpr std::string_view kSeparateNetwork = "keep other hosts off the network";
constexpr std::string_view kOnlyRdma = "only RDMA is served";

// Parts of SPDK that configure SPDK itself.
constexpr std::array<std::string_view, 10> kInnerSubsystems = {"accel", "bdev", "fsdev",     "iobuf", "keyring",
                                                               "nvmf",  "sock", "scheduler", "vmd",   "vfio_user"};

constexpr std::array<std::string_view, 8> kTransportKeys = {"trtype",
                                                            "max_queue_depth",
                                                            "max_io_qpairs_per_ctrlr",
                                                            "in_capsule_data_size",
                                                            "max_io_size",
                                                            "max_qpairs_per_ctrlr",
                                                            "io_unit_size",
                                                            "num_shared_buffers"};
// Calls that tune SPDK; they have no meaning for this target.
constexpr std::array<ForeignKey, 15> kForeignTransportKeys = {
    {{"max_aq_depth", kAnyValue, "", ""},
     {"num_cqe", kAnyValue, "", ""},
     {"buf_cache_size", kAnyValue, "", ""},
     {"zcopy", kAnyValue, "", ""},
     {"max_srq_depth", kAnyValue, "", ""},
     {"no_srq", kAnyValue, "", ""},
     {"acceptor_backlog", kAnyValue, "", ""},
     {"no_wr_batching", kAnyValue, "", ""},
     {"abort_timeout_sec", kAnyValue, "", ""},
     {"association_timeout", kAnyValue, "", ""},
     {"ack_timeout", kAnyValue, "", ""},
     {"data_wr_pool_size", kAnyValue, "", ""},
     {"disable_command_passthru", kAnyValue, "", ""},
     {"acceptor_poll_rate", kAnyValue, "", ""},
     {"dif_insert_or_strip", "0", "protection information (T10 PI) is not supported", ""}}};

constexpr std::array<std::string_view, 6> kSubsystemKeys = {"nqn",          "allow_any_host", "serial_number",
                                                            "model_number", "min_cntlid",     "max_cntlid"};
constexpr std::array<ForeignKey, 5> kForeignSubsystemKeys = {
    {{"max_namespaces", kAnyValue, "", ""},
     {"ana_reporting", kAnyValue, "", ""},  // this target always reports ANA
     {"max_discard_size_kib", "0", "the largest deallocation cannot be set", ""},
     {"max_write_zeroes_size_kib", "0", "the largest Write Zeroes cannot be set", ""},
     {"passthrough", "0", "vendor commands are not passed through", ""}}};

constexpr std::array<std::string_view, 7> kNamespaceKeys = {"nsid",  "bdev_name", "nguid",          "uuid",
                                                            "eui64", "anagrpid",  "no_auto_visible"};
constexpr std::array<ForeignKey, 2> kForeignNamespaceKeys = {
    {{"ptpl_file", "", "the reservations that SPDK keeps in a file",
      R"(hosts must register again; then "state_dir" keeps the reservations)"},
     {"hide_metadata", "0", "metadata cannot be hidden", ""}}};

constexpr std::array<std::string_view, 2> kListenerKeys = {"nqn", "listen_address"};
constexpr std::array<ForeignKey, 2> kForeignListenerKeys = {
    {{"secure_channel", "0", kNoTls, kSeparateNetwork}, {"sock_impl", kAnyValue, "", ""}}};

constexpr std::array<std::string_view, 4> kHostKeys = {"nqn", "host", "dhchap_key", "dhchap_ctrlr_key"};
constexpr std::array<ForeignKey, 1> kForeignHostKeys = {{{"psk", "", kNoTls, "the host may not connect without it"}}};

struct AnaChange {
  std::string nqn;
  AnaGroup ana;  // group 0: all
};

bool is_rdma(const Value& address) { return spdk_transport(address) == "rdma"; }

class SpdkImport {
 public:
  SpdkImport(Config& config, Reader& reader, const BlockBytesOf& block_bytes_of)
      : config_(config), reader_(reader), bdevs_(reader, block_bytes_of) {}

  void run(const Value& root) {
    for_each(reader_, root, "subsystems", [this](const Value& part) {
      if (spdk_part(part) == "bdev") bdevs_.import(part);
      if (spdk_part(part) == "keyring") import_keyring(part);
    });
    for_each(reader_, root, "subsystems", [this](const Value& part) {
      if (spdk_part(part) == "nvmf") import_nvmf(part);
    });
    for_each(reader_, root, "subsystems", [this](const Value& part) { report_part(part); });
    apply_ana_changes();
    hide_namespaces();
    drop_closed_subsystems();
    report_empty_subsystems();
  }

 private:
  // Places in the source, for messages at the end.
  struct Place {
    std::string path;
    Position position;
  };

  void import_keyring(const Value& part) {
    for_each(reader_, part, "config", [this](const Value& call) {
      const Value& params = member_or_empty(call, "params");
      const std::string name = scalar_text(params.find("name"));
      std::string path;
      const auto step = reader_.into("params");
      if (scalar_text(call.find("method")) != "keyring_file_add_key") return;
      if (read_member(params, "path", KeyFile{}, path, reader_)) key_files_[name] = path;
    });
  }

  // The file of the key that `params` names; none, and a report, when the keyring has no such file.
  std::optional<std::string> key_file_of(const Value& params, std::string_view key) {
    const std::string name = scalar_text(params.find(key));
    const auto found = key_files_.find(name);
    if (found != key_files_.end()) return found->second;
    reader_.error(params.position, "a host whose key " + quote(name) + " is no file of the keyring",
                  "write the key to a file, and add the host to \"hosts\"");
    return std::nullopt;
  }

  // A host with keys is carried over with them, or not at all.
  void import_authenticated_host(const Value& params, const std::string& nqn, Subsystem& subsystem) {
    Host host;
    host.nqn = nqn;
    const auto key_file = key_file_of(params, "dhchap_key");
    if (!key_file) return;
    host.key_file = *key_file;
    if (is_given(params.find("dhchap_ctrlr_key"))) {
      host.controller_key_file = key_file_of(params, "dhchap_ctrlr_key");
      if (!host.controller_key_file) return;
    }
    subsystem.hosts.push_back(std::move(host));
  }

  void import_nvmf(const Value& part) {
    using Call = SpdkCall<SpdkImport>;
    static constexpr std::array<Call, 12> kCalls = {
        {{"nvmf_create_transport", &SpdkImport::import_transport},
         {"nvmf_create_subsystem", &SpdkImport::import_subsystem},
         {"nvmf_subsystem_allow_any_host", &SpdkImport::import_any_host},
         {"nvmf_subsystem_add_host", &SpdkImport::import_host},
         {"nvmf_subsystem_add_ns", &SpdkImport::import_namespace},
         {"nvmf_ns_add_host", &SpdkImport::import_visibility},
         {"nvmf_subsystem_add_listener", &SpdkImport::import_listener},
         {"nvmf_subsystem_listener_set_ana_state", &SpdkImport::import_ana_state},
         {"nvmf_discovery_add_referral", &SpdkImport::import_referral},
         {"nvmf_set_config", &SpdkImport::import_rules},
         {"nvmf_set_max_subsystems", nullptr},
         {"nvmf_set_crdt", nullptr}}};
    import_spdk_calls<SpdkImport>(part, kCalls, *this, reader_);
  }

  // Of the whole target.
  void import_rules(const Value& params) {
    for (const std::string_view key : {"dhchap_digests", "dhchap_dhgroups"}) {
      if (!is_given(params.find(key))) continue;
      reader_.error_at(params, key, "what hosts may authenticate with",
                       "set \"dhchap_hash\" and \"dhchap_group\" of each host in \"hosts\"");
    }
  }

  // Other protocols that SPDK serves.
  void report_part(const Value& part) {
    const std::string name = spdk_part(part);
    if (std::ranges::find(kInnerSubsystems, name) != kInnerSubsystems.end()) return;
    if (elements(part, "config").empty()) return;
    reader_.error(part.position, "SPDK's part " + quote(name) + " has no counterpart in this target", "");
  }

  void import_transport(const Value& params) {
    if (!is_rdma(params)) {
      return reader_.error(params.position, "transport " + quote(scalar_text(params.find("trtype"))),
                           std::string(kOnlyRdma));
    }
    report_foreign_keys(params, kTransportKeys, kForeignTransportKeys, reader_);
    Rdma& rdma = config_.rdma;
    uint64_t queues = 0;
    rdma.max_queue_depth = clamped<uint16_t>(params, "max_queue_depth", {2, kMostQueueDepth}, rdma.max_queue_depth);
    rdma.max_io_queues = clamped<uint16_t>(params, "max_io_qpairs_per_ctrlr", {1, kMostIoQueues}, rdma.max_io_queues);
    rdma.in_capsule_data_bytes = clamped<uint32_t>(
        params, "in_capsule_data_size", {0, kMostInCapsuleBytes, kInCapsuleStepBytes}, rdma.in_capsule_data_bytes);
    const auto longest = clamped<uint32_t>(params, "max_io_size", {kLeastMdtsBytes, kMostMdtsBytes}, rdma.mdts_bytes);
    rdma.mdts_bytes = std::bit_floor(longest);
    // Older files count the admin queue too.
    if (read_number(params, "max_qpairs_per_ctrlr", Integer{2, kMostIoQueues + 1U}, queues, reader_))
      rdma.max_io_queues = static_cast<uint16_t>(queues - 1);
  }

  // The number of `params`' member `key`, or the nearest possible value; `otherwise` when it is missing.
  template <class M>
  M clamped(const Value& params, std::string_view key, const Integer& range, M otherwise) {
    uint64_t wanted = 0;
    if (!read_number(params, key, Integer{0, UINT64_MAX}, wanted, reader_)) return otherwise;
    const uint64_t nearest = std::clamp(wanted, range.least, range.most) / range.step * range.step;
    if (nearest != wanted) {
      reader_.warning_at(params, key, std::to_string(wanted) + " becomes " + std::to_string(nearest),
                         "this is the nearest possible value");
    }
    return static_cast<M>(nearest);
  }

  // SPDK lists the discovery subsystem among the others; this target has it on every port without a key.
  static bool is_discovery(const Value& params) { return scalar_text(params.find("nqn")) == kDiscoveryNqn; }

  void import_subsystem(const Value& params) {
    if (is_discovery(params)) return;
    Subsystem subsystem;
    const bool named = read_member(params, "nqn", kSubsystemName, subsystem.nqn, reader_) &&
                       reader_.unique("NQN", subsystem.nqn, params.find("nqn")->position);
    if (!named) return reader_.error(params.position, "a subsystem whose name is not valid", "");
    if (!has_room(config_.subsystems.size(), kMostSubsystems, params, reader_)) return;
    report_foreign_keys(params, kSubsystemKeys, kForeignSubsystemKeys, reader_);
    subsystem.allow_any_host = is_on(params.find("allow_any_host"));
    read_member(params, "serial_number", Ascii{kLongestSerial}, subsystem.serial, reader_);
    read_member(params, "model_number", Ascii{kLongestModel}, subsystem.model, reader_);
    read_number(params, "min_cntlid", Integer{1, kMostControllers}, subsystem.cntlid_min, reader_);
    read_number(params, "max_cntlid", Integer{1, kMostControllers}, subsystem.cntlid_max, reader_);
    if (subsystem.cntlid_min > subsystem.cntlid_max) {
      reader_.error(params.position, "a \"min_cntlid\" above \"max_cntlid\"", "");
      subsystem.cntlid_min = Subsystem{}.cntlid_min;
      subsystem.cntlid_max = Subsystem{}.cntlid_max;
    }
    places_[subsystem.nqn] = {reader_.path(), params.position};
    config_.subsystems.push_back(std::move(subsystem));
  }

  // Null, and a report, when the call names a subsystem that does not exist.
  Subsystem* subsystem_of(const Value& params, std::string_view what) {
    const std::string nqn = scalar_text(params.find("nqn"));
    const auto found = std::ranges::find(config_.subsystems, nqn, &Subsystem::nqn);
    if (found != config_.subsystems.end()) return &*found;
    reader_.error(params.position, std::string(what) + " of subsystem " + quote(nqn),
                  "the subsystem does not exist, or was not carried over");
    return nullptr;
  }

  void import_any_host(const Value& params) {
    if (is_discovery(params)) return;
    Subsystem* subsystem = subsystem_of(params, "the hosts");
    if (subsystem != nullptr) subsystem->allow_any_host = !is_on(params.find("disable"));
  }

  void import_host(const Value& params) {
    if (is_discovery(params)) return;
    Subsystem* subsystem = subsystem_of(params, "a host");
    std::string nqn;
    if (subsystem == nullptr ||
        !has_room(subsystem->allowed_hosts.size() + subsystem->hosts.size(), kMostHosts, params, reader_))
      return;
    report_foreign_keys(params, kHostKeys, kForeignHostKeys, reader_);
    if (!scalar_text(params.find("psk")).empty() || !read_member(params, "host", Nqn{}, nqn, reader_)) return;
    if (!reader_.unique("host of " + subsystem->nqn, nqn, params.position)) return;
    if (!is_given(params.find("dhchap_key")))
      subsystem->allowed_hosts.push_back(nqn);
    else
      import_authenticated_host(params, nqn, *subsystem);
  }

  void import_namespace(const Value& params) {
    Subsystem* subsystem = subsystem_of(params, "a namespace");
    if (subsystem == nullptr || !has_room(subsystem->namespaces.size(), kMostNamespaces, params, reader_)) return;
    ++namespaces_[subsystem->nqn];
    const auto step = reader_.into("namespace");
    const Value& value = member_or_empty(params, "namespace");
    report_foreign_keys(value, kNamespaceKeys, kForeignNamespaceKeys, reader_);
    Namespace ns;
    const bool has_nsid = read_number(value, "nsid", Integer{1, kMostNamespaces}, ns.nsid, reader_) &&
                          reader_.unique("nsid of " + subsystem->nqn, std::to_string(ns.nsid), value.position);
    if (!has_nsid) return reader_.error(value.position, "a namespace whose nsid is not valid", "");
    const std::string bdev = scalar_text(value.find("bdev_name"));
    if (!bdevs_.find(bdev, value.position, ns)) {
      return reader_.error(value.position, "a namespace whose block device " + quote(bdev) + " does not exist",
                           "the bdev was not imported (see above), or it is made of several bdevs");
    }
    import_identifiers(value, ns);
    read_number(value, "anagrpid", Integer{1, kMostAnaGroups}, ns.ana_group, reader_);
    if (is_on(value.find("no_auto_visible"))) hidden_[{subsystem->nqn, ns.nsid}] = {reader_.path(), value.position};
    subsystem->namespaces.push_back(std::move(ns));
  }

  template <size_t Bytes>
  void import_identifier(const Value& value, std::string_view key, const IdentifierForm& form,
                         std::optional<std::array<uint8_t, Bytes>>& out) {
    std::array<uint8_t, Bytes> identifier{};
    if (read_member(value, key, Identifier<Bytes>{form}, identifier, reader_)) out = identifier;
    if (!out) return;
    const bool is_new = reader_.unique(form.noun, {out->begin(), out->end()}, value.position);
    if (!is_new) out.reset();
  }

  void import_identifiers(const Value& value, Namespace& ns) {
    import_identifier(value, "uuid", kUuidForm, ns.uuid);
    import_identifier(value, "nguid", kNguidForm, ns.nguid);
    import_identifier(value, "eui64", kEui64Form, ns.eui64);
  }

  void import_visibility(const Value& params) {
    Subsystem* subsystem = subsystem_of(params, "a namespace's host");
    uint32_t nsid = 0;
    std::string nqn;
    if (subsystem == nullptr || !read_number(params, "nsid", Integer{1, kMostNamespaces}, nsid, reader_)) return;
    const auto ns = std::ranges::find(subsystem->namespaces, nsid, &Namespace::nsid);
    if (ns == subsystem->namespaces.end() || !hidden_.contains({subsystem->nqn, nsid})) return;
    if (!has_room(ns->visible_to.size(), kMostHosts, params, reader_)) return;
    if (!read_member(params, "host", Nqn{}, nqn, reader_)) return;
    const std::string scope = "host of namespace " + std::to_string(nsid) + " of " + subsystem->nqn;
    if (reader_.unique(scope, nqn, params.position)) ns->visible_to.push_back(nqn);
  }

  // The id of the port with that address, which is created when it does not exist.
  std::optional<uint16_t> port_of(const Value& params) {
    const auto step = reader_.into("listen_address");
    const Value& address = member_or_empty(params, "listen_address");
    if (!is_rdma(address)) {
      reader_.error(params.position, "a listener of transport " + quote(scalar_text(address.find("trtype"))),
                    std::string(kOnlyRdma));
      return std::nullopt;
    }
    Port port;
    if (!read_member(address, "traddr", Address{kOurAddress, true}, port.address, reader_)) return std::nullopt;
    const bool has_service = !scalar_text(address.find("trsvcid")).empty();
    if (has_service && !read_number(address, "trsvcid", Integer{1, kMostService}, port.service, reader_))
      return std::nullopt;
    const auto known = std::ranges::find_if(config_.ports, [&](const Port& other) {
      return other.address == port.address && other.service == port.service;
    });
    if (known != config_.ports.end()) return known->id;
    if (!has_room(config_.ports.size(), kMostPorts, params, reader_)) return std::nullopt;
    port.id = static_cast<uint16_t>(config_.ports.size() + 1);
    config_.ports.push_back(port);
    return port.id;
  }

  void import_listener(const Value& params) {
    if (is_discovery(params)) return;
    Subsystem* subsystem = subsystem_of(params, "a listener");
    if (subsystem == nullptr) return;
    report_foreign_keys(params, kListenerKeys, kForeignListenerKeys, reader_);
    const auto port = port_of(params);
    if (!port || std::ranges::find(subsystem->ports, *port) != subsystem->ports.end()) return;
    subsystem->ports.push_back(*port);
  }

  void import_ana_state(const Value& params) {
    Subsystem* subsystem = subsystem_of(params, "an ANA state");
    if (subsystem == nullptr) return;
    AnaChange change{subsystem->nqn, {}};
    const auto port = port_of(params);
    const std::string group = scalar_text(params.find("anagrpid"));
    const bool of_all = group.empty() || group == "0";
    if (!of_all && !read_number(params, "anagrpid", Integer{1, kMostAnaGroups}, change.ana.group, reader_)) return;
    Value word = member_or_empty(params, "ana_state");
    std::string state = scalar_text(&word);
    std::ranges::replace(state, '_', '-');
    word.data = state;
    const auto step = reader_.into("ana_state");
    if (!port || !Word{kAnaStateNames}.read(word, change.ana.state, reader_)) return;
    change.ana.port = *port;
    ana_changes_.push_back(std::move(change));
  }

  void import_referral(const Value& params) {
    const Value& address = member_or_empty(params, "address");
    if (!is_rdma(address)) {
      return reader_.error(params.position, "a referral to another transport", std::string(kOnlyRdma));
    }
    if (!has_room(config_.discovery.referrals.size(), kMostReferrals, params, reader_)) return;
    const auto step = reader_.into("address");
    Referral referral;
    if (!read_member(address, "traddr", Address{kTheirAddress}, referral.address, reader_)) return;
    read_number(address, "trsvcid", Integer{1, kMostService}, referral.service, reader_);
    const std::string identity = referral.address + ' ' + std::to_string(referral.service);
    if (reader_.unique("referral", identity, params.position)) config_.discovery.referrals.push_back(referral);
  }

  // Later calls win. The state optimized is the default, and a group without namespaces has no effect: neither is
  // written.
  void apply_ana_changes() {
    for (const AnaChange& change : ana_changes_) {
      const auto subsystem = std::ranges::find(config_.subsystems, change.nqn, &Subsystem::nqn);
      const bool offered = std::ranges::find(subsystem->ports, change.ana.port) != subsystem->ports.end();
      std::set<uint32_t> groups;
      for (const Namespace& ns : subsystem->namespaces) groups.insert(ns.ana_group);
      for (const uint32_t group : groups) {
        if (offered && (change.ana.group == 0 || change.ana.group == group)) apply(change.ana, group, *subsystem);
      }
    }
  }

  static void apply(AnaGroup ana, uint32_t group, Subsystem& subsystem) {
    ana.group = group;
    std::erase_if(subsystem.ana, [&](const AnaGroup& old) { return old.group == group && old.port == ana.port; });
    if (ana.state != AnaState::optimized && subsystem.ana.size() < kMostAnaStates) subsystem.ana.push_back(ana);
  }

  // No host in "visible_to" would mean all of them.
  void hide_namespaces() {
    for (const auto& [which, place] : hidden_) {
      const auto subsystem = std::ranges::find(config_.subsystems, which.first, &Subsystem::nqn);
      const size_t erased = std::erase_if(subsystem->namespaces, [&, nsid = which.second](const Namespace& ns) {
        return ns.nsid == nsid && ns.visible_to.empty();
      });
      if (erased != 0) reader_.error_in(place.path, place.position, "a namespace that no host may see", "");
    }
  }

  void drop_closed_subsystems() {
    std::erase_if(config_.subsystems, [this](Subsystem& subsystem) {
      if (subsystem.allow_any_host) subsystem.allowed_hosts.clear();
      if (subsystem.allow_any_host || !subsystem.allowed_hosts.empty() || !subsystem.hosts.empty()) return false;
      const Place& place = places_[subsystem.nqn];
      reader_.error_in(place.path, place.position, "a subsystem that no host may connect to",
                       "allow a host there, and import again");
      return true;
    });
  }

  void report_empty_subsystems() {
    for (const Subsystem& subsystem : config_.subsystems) {
      const auto found = namespaces_.find(subsystem.nqn);
      const Place& place = places_[subsystem.nqn];
      if (found != namespaces_.end()) report_empty(subsystem, found->second, place.path, place.position, reader_);
    }
  }

  Config& config_;
  Reader& reader_;
  SpdkBdevs bdevs_;
  std::map<std::string, size_t> namespaces_;                  // of the source, by NQN
  std::map<std::string, Place> places_;                       // of subsystems, by NQN
  std::map<std::pair<std::string, uint32_t>, Place> hidden_;  // of namespaces, by NQN and nsid
  std::vector<AnaChange> ana_changes_;
  std::map<std::string, std::string> key_files_;  // of the keyring, by name
};

bool has_parts(const Value& root) {
  const Array& parts = elements(root, "subsystems");
  return !parts.empty() && std::ranges::all_of(parts, [](const Value& part) { return part.find("subsystem"); });
}

}  // namespace

ImportResult import_spdk(std::string_view text, const std::string& file_name, const BlockBytesOf& block_bytes_of) {
  const ImportSource source = read_import_source(text, file_name);
  if (!source.root) return {source.refusal};
  if (!has_parts(*source.root)) {
    const bool is_nvmet = source.root->find("ports") != nullptr;
    return refuse_import(
        file_name, source.root->position, "SPDK's save_config did not print this file",
        is_nvmet ? "if nvmetcli wrote it: import nvmetcli" : "save the target with: rpc.py save_config");
  }
  Config config;
  Reader reader(file_name);
  SpdkImport(config, reader, block_bytes_of).run(*source.root);
  return finish_import(config, std::move(reader), file_name);
}

}  // namespace nvmf::config
