// The Linux kernel's target. nvmetcli saves its configfs as it is: an object for each folder, and in it an object for
// each group of attributes, the part of their names before the first underscore.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "config/import.h"
#include "config/import_source.h"
#include "config/kinds.h"
#include "config/limits.h"
#include "config/nqn.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

constexpr uint32_t kUsualFileBlockBytes = 4096;

constexpr std::string_view kNoProtection = "protection information (T10 PI) is not supported";
constexpr std::string_view kSeparateNetwork = "keep other hosts off the network";

constexpr std::array<std::string_view, 4> kRootKeys = {"hosts", "ports", "subsystems", "discovery_nqn"};
constexpr std::array<std::string_view, 6> kHostKeys = {"nqn",         "dhchap",        "dhchap_key", "dhchap_ctrl_key",
                                                       "dhchap_hash", "dhchap_dhgroup"};
constexpr std::array<std::string_view, 4> kDhchapAttributes = {"key", "ctrl_key", "hash", "dhgroup"};
// What the kernel says when nothing was chosen.
constexpr std::string_view kUsualHash = "hmac(sha256)";
constexpr std::string_view kUsualGroup = "null";

constexpr std::array<std::string_view, 4> kSubsystemKeys = {"nqn", "attr", "allowed_hosts", "namespaces"};
constexpr std::array<ForeignKey, 1> kForeignSubsystemKeys = {
    {{"passthru", "0", "a whole controller cannot be passed through",
      R"(pass its namespaces through: {"nvme": "/dev/ng0n1"})"}}};
constexpr std::array<std::string_view, 5> kSubsystemAttributes = {"allow_any_host", "serial", "model", "cntlid_min",
                                                                  "cntlid_max"};
// The first ones identify the kernel's target.
constexpr std::array<ForeignKey, 7> kForeignSubsystemAttributes = {
    {{"version", kAnyValue, "", ""},
     {"firmware", kAnyValue, "", ""},
     {"ieee_oui", kAnyValue, "", ""},
     {"vendor_id", kAnyValue, "", ""},
     {"subsys_vendor_id", kAnyValue, "", ""},
     {"pi_enable", "0", kNoProtection, ""},
     {"qid_max", "128", "the number of queues is the same for all subsystems", R"(set "max_io_queues" of "rdma")"}}};

constexpr std::array<std::string_view, 6> kNamespaceKeys = {"nsid", "enable", "device", "ana", "ana_grpid", "p2pmem"};
constexpr std::array<ForeignKey, 2> kForeignNamespaceKeys = {
    {{"buffered_io", "0", "data never goes through the page cache", ""},
     {"resv_enable", kAnyValue, "", ""}}};  // reservations are always there
constexpr std::array<std::string_view, 3> kDeviceAttributes = {"path", "uuid", "nguid"};
constexpr std::array<std::string_view, 1> kAnaAttributes = {"grpid"};

constexpr std::array<std::string_view, 6> kPortKeys = {"portid",     "addr",      "param",
                                                       "ana_groups", "referrals", "subsystems"};
constexpr std::array<ForeignKey, 1> kForeignPortKeys = {{{"enable", kAnyValue, "", ""}}};
constexpr std::array<std::string_view, 4> kAddressAttributes = {"trtype", "traddr", "trsvcid", "adrfam"};
constexpr std::array<ForeignKey, 3> kForeignAddressAttributes = {{{"treq", kAnyValue, "", ""},  // see import_port()
                                                                  {"tsas", kAnyValue, "", ""},
                                                                  {"portid", kAnyValue, "", ""}}};
constexpr std::array<std::string_view, 1> kPortParameters = {"inline_data_size"};
constexpr std::array<ForeignKey, 3> kForeignPortParameters = {
    {{"pi_enable", "0", kNoProtection, ""},
     {"mdts", "-1 0", "the largest transfer is the same for all ports", R"(set "mdts_bytes" of "rdma")"},
     {"max_queue_size", "-1 128", "the queue depth is the same for all ports", R"(set "max_queue_depth" of "rdma")"}}};

// configfs spells an NGUID like a UUID, and has zeros where there is none.
template <size_t Bytes>
void read_identifier_of(const Value& device, std::string_view key, const IdentifierForm& form, std::string_view noun,
                        std::optional<std::array<uint8_t, Bytes>>& out, Reader& reader) {
  Value value = member_or_empty(device, key);
  std::string text = scalar_text(&value);
  const bool zero = std::ranges::all_of(text, [](char c) { return c == '0' || c == '-'; });
  if (zero) return;
  if (!form.has_dashes) std::erase(text, '-');
  value.data = text;
  const auto step = reader.into(key);
  std::array<uint8_t, Bytes> identifier{};
  if (!Identifier<Bytes>{form}.read(value, identifier, reader)) return;
  if (reader.unique(noun, {identifier.begin(), identifier.end()}, value.position)) out = identifier;
}

// DHHC-1:0N:BASE64:, with N for no transform or one of three hashes. What is between is checked where the key is
// written to a file.
bool has_form_of_key(std::string_view text) {
  constexpr std::string_view kPrefix = "DHHC-1:0";
  return text.size() > kPrefix.size() + 2 && text.starts_with(kPrefix) && text.ends_with(':') &&
         text[kPrefix.size()] >= '0' && text[kPrefix.size()] <= '3' && text[kPrefix.size() + 1] == ':';
}

class NvmetImport {
 public:
  NvmetImport(Config& config, Reader& reader, std::string key_directory)
      : config_(config), reader_(reader), key_directory_(std::move(key_directory)) {}

  std::vector<FoundKey> take_keys() { return std::move(keys_); }

  void run(const Value& root) {
    report_foreign_keys(root, kRootKeys, {}, reader_);
    import_discovery(root);
    for_each(reader_, root, "hosts", [this](const Value& host) { import_host(host); });
    for_each(reader_, root, "subsystems", [this](const Value& subsystem) { import_subsystem(subsystem); });
    report_keys_without_subsystem();
    collect_port_ids(root);
    for_each(reader_, root, "ports", [this](const Value& port) { import_port(port); });
    if (!in_capsule_sizes_.empty()) set_in_capsule_size();
  }

 private:
  void report_group(const Value& object, std::string_view key, std::span<const std::string_view> carried,
                    std::span<const ForeignKey> foreign) {
    const auto step = reader_.into(key);
    report_foreign_keys(member_or_empty(object, key), carried, foreign, reader_);
  }

  void import_discovery(const Value& root) {
    const Value* nqn = root.find("discovery_nqn");
    std::string name;
    if (scalar_text(nqn) == kDiscoveryNqn || !read_member(root, "discovery_nqn", Nqn{}, name, reader_)) return;
    const auto step = reader_.into("discovery_nqn");
    if (reader_.unique("NQN", name, nqn->position)) config_.discovery.nqn = name;
  }

  void import_host(const Value& host) {
    report_foreign_keys(host, kHostKeys, {}, reader_);
    report_group(host, "dhchap", kDhchapAttributes, {});
    const std::string nqn = scalar_text(host.find("nqn"));
    if (nqn.empty()) return;
    places_of_hosts_[nqn] = {reader_.path(), host.position};
    import_keys(nqn, host, "dhchap_");
    const auto step = reader_.into("dhchap");
    import_keys(nqn, member_or_empty(host, "dhchap"), "");
  }

  // Versions of nvmetcli write the attributes of "dhchap" there, or beside the NQN with a prefix.
  void import_keys(const std::string& nqn, const Value& dhchap, const std::string& prefix) {
    const Value* const given = dhchap.find(prefix + "key");
    const std::string controller_key = scalar_text(dhchap.find(prefix + "ctrl_key"));
    if (authenticated_.contains(nqn)) return;
    if (!is_given(given)) {
      if (!controller_key.empty())
        reader_.error_at(dhchap, prefix + "ctrl_key", "a key of the subsystem for a host that has no key itself",
                         "give the host a key, too, so that both authenticate");
      return;
    }
    const std::string key = scalar_text(given);
    if (!has_form_of_key(key)) {
      unknown_keys_.insert(nqn);
      return;
    }
    Host found;
    found.nqn = nqn;
    found.key_file = keep_key(nqn, "", key);
    if (!controller_key.empty()) found.controller_key_file = keep_key(nqn, ".controller", controller_key);
    read_choice(dhchap, prefix + "dhgroup", kUsualGroup, kDhGroupNames, found.dhchap_group);
    // Who has chosen a group has chosen to leave the hash function as it is.
    const std::string_view usual_hash = found.dhchap_group ? std::string_view() : kUsualHash;
    read_choice(dhchap, prefix + "hash", usual_hash, kDhchapHashNames, found.dhchap_hash);
    authenticated_[nqn] = std::move(found);
  }

  // Nobody would miss them before a host cannot authenticate.
  void report_keys_without_subsystem() {
    for (const auto& [nqn, host] : authenticated_) {
      const auto lists = [&wanted = nqn](const Subsystem& one) {
        return std::ranges::find(one.hosts, wanted, &Host::nqn) != one.hosts.end();
      };
      const auto& [path, position] = places_of_hosts_[nqn];
      if (std::ranges::none_of(config_.subsystems, lists))
        reader_.error_in(path, position,
                         "the key of host " + quote(nqn) + ", which no subsystem that is imported lists",
                         "allow the host in a subsystem there, and import again");
    }
  }

  // The file that is to have the key.
  std::string keep_key(std::string name, const std::string& suffix, const std::string& text) {
    std::ranges::replace(name, '/', '_');
    std::string path = key_directory_ + "/" + name + suffix + ".key";
    keys_.push_back({path, text});
    return path;
  }

  // "hmac(sha384)" is sha384.
  template <class Enum, size_t N>
  void read_choice(const Value& dhchap, std::string_view key, std::string_view usual, const Names<Enum, N>& names,
                   std::optional<Enum>& out) {
    std::string text = scalar_text(dhchap.find(key));
    if (text.empty() || text == usual) return;
    if (text.starts_with("hmac(") && text.ends_with(")")) text = text.substr(5, text.size() - 6);
    const auto found = std::ranges::find(names, text, [](const auto& entry) { return entry.first; });
    if (found != names.end())
      out = found->second;
    else
      reader_.error_at(dhchap, key, "this target does not know " + quote(text), "the default is used");
  }

  void import_subsystem(const Value& value) {
    Subsystem subsystem;
    const bool named = read_member(value, "nqn", kSubsystemName, subsystem.nqn, reader_) &&
                       reader_.unique("NQN", subsystem.nqn, value.find("nqn")->position);
    if (!named) return reader_.error(value.position, "a subsystem whose name is not valid", "");
    if (!has_room(config_.subsystems.size(), kMostSubsystems, value, reader_)) return;
    report_foreign_keys(value, kSubsystemKeys, kForeignSubsystemKeys, reader_);
    import_attributes(value, subsystem);
    for_each(reader_, value, "allowed_hosts", [&](const Value& host) { import_allowed_host(host, subsystem); });
    for_each(reader_, value, "namespaces", [&](const Value& space) { import_namespace(space, subsystem); });
    if (!subsystem.allow_any_host && subsystem.allowed_hosts.empty() && subsystem.hosts.empty()) {
      return reader_.error(value.position, "a subsystem that no host may connect to",
                           "allow a host there, and import again");
    }
    report_empty(subsystem, elements(value, "namespaces").size(), reader_.path(), value.position, reader_);
    config_.subsystems.push_back(std::move(subsystem));
  }

  void import_attributes(const Value& value, Subsystem& subsystem) {
    report_group(value, "attr", kSubsystemAttributes, kForeignSubsystemAttributes);
    const auto step = reader_.into("attr");
    const Value& attributes = member_or_empty(value, "attr");
    subsystem.allow_any_host = is_on(attributes.find("allow_any_host"));
    read_member(attributes, "serial", Ascii{kLongestSerial}, subsystem.serial, reader_);
    read_member(attributes, "model", Ascii{kLongestModel}, subsystem.model, reader_);
    read_number(attributes, "cntlid_min", Integer{1, kMostControllers}, subsystem.cntlid_min, reader_);
    read_number(attributes, "cntlid_max", Integer{1, kMostControllers}, subsystem.cntlid_max, reader_);
    if (subsystem.cntlid_min <= subsystem.cntlid_max) return;
    reader_.error(attributes.position, "a \"cntlid_min\" above \"cntlid_max\"", "");
    subsystem.cntlid_min = Subsystem{}.cntlid_min;
    subsystem.cntlid_max = Subsystem{}.cntlid_max;
  }

  void import_allowed_host(const Value& host, Subsystem& subsystem) {
    std::string nqn;
    if (subsystem.allow_any_host) {
      return reader_.error(host.position, "a host in addition to \"allow_any_host\"", "any host may connect already");
    }
    if (!has_room(subsystem.allowed_hosts.size() + subsystem.hosts.size(), kMostHosts, host, reader_)) return;
    if (!kHostName.read(host, nqn, reader_)) return;
    if (!reader_.unique("host of " + subsystem.nqn, nqn, host.position, Severity::error, "")) return;
    if (unknown_keys_.contains(nqn)) {
      return reader_.error(host.position, "a host whose key is not valid: it does not have the form DHHC-1:0N:...:",
                           "write the key to a file, and add the host to \"hosts\"");
    }
    const auto authenticated = authenticated_.find(nqn);
    if (authenticated != authenticated_.end())
      subsystem.hosts.push_back(authenticated->second);
    else
      subsystem.allowed_hosts.push_back(nqn);
  }

  void import_namespace(const Value& value, Subsystem& subsystem) {
    Namespace ns;
    if (!has_room(subsystem.namespaces.size(), kMostNamespaces, value, reader_)) return;
    const bool has_nsid = read_number(value, "nsid", Integer{1, kMostNamespaces}, ns.nsid, reader_) &&
                          reader_.unique("nsid of " + subsystem.nqn, std::to_string(ns.nsid), value.position);
    if (!has_nsid) return reader_.error(value.position, "a namespace whose nsid is not valid", "");
    if (scalar_text(value.find("enable")) == "0") {
      return reader_.error(value.position, "a namespace that is not enabled", "enable it, and import again");
    }
    report_foreign_keys(value, kNamespaceKeys, kForeignNamespaceKeys, reader_);
    if (!import_device(value, subsystem, ns)) {
      return reader_.error(value.position, "a namespace whose device cannot be used", "");
    }
    import_identifiers(value, ns);
    report_group(value, "ana", kAnaAttributes, {});
    read_number(value, "ana_grpid", Integer{1, kMostAnaGroups}, ns.ana_group, reader_);
    import_peer_memory(value, ns);
    subsystem.namespaces.push_back(std::move(ns));
  }

  bool import_device(const Value& value, const Subsystem& subsystem, Namespace& ns) {
    report_group(value, "device", kDeviceAttributes, {});
    const auto step = reader_.into("device");
    const Value& device = member_or_empty(value, "device");
    const Value* path = device.find("path");
    if (path == nullptr) return false;
    const auto in_path = reader_.into("path");
    if (!read_backend(*path, "subsystem " + subsystem.nqn, ns, reader_)) return false;
    if (auto* file = std::get_if<FileBackend>(&ns.backend)) {
      file->block_size_bytes = kUsualFileBlockBytes;
      reader_.warning(
          path->position, "the kernel uses the file system's block size for a file; this config assumes 4096",
          "run blockdev --getss on a host of that target; if it prints another size, write that as \"block_size\"");
    }
    return true;
  }

  void import_identifiers(const Value& value, Namespace& ns) {
    const auto step = reader_.into("device");
    const Value& device = member_or_empty(value, "device");
    read_identifier_of(device, "uuid", kUuidForm, "UUID", ns.uuid, reader_);
    read_identifier_of(device, "nguid", kNguidForm, "NGUID", ns.nguid, reader_);
  }

  // 0, 1, or the PCI address of the provider.
  void import_peer_memory(const Value& value, Namespace& ns) {
    const Value* p2pmem = value.find("p2pmem");
    const std::string text = scalar_text(p2pmem);
    if (text.empty() || text == "0") return;
    const auto step = reader_.into("p2pmem");
    if (std::holds_alternative<FileBackend>(ns.backend)) {
      return reader_.error(p2pmem->position, "a file cannot use peer memory", "serve a block device instead");
    }
    std::string provider;
    const bool chosen = text != "1";
    if (chosen && !PciAddress{}.read(*p2pmem, provider, reader_)) return;
    ns.p2p = P2pMode::prefer;
    if (chosen) ns.p2p_provider = provider;
  }

  void collect_port_ids(const Value& root) {
    for (const Value& port : elements(root, "ports")) {
      const Value* id = port.find("portid");
      if (id != nullptr) port_ids_.insert(scalar_text(id));
    }
  }

  void import_port(const Value& value) {
    const Value& address = member_or_empty(value, "addr");
    const std::string transport = scalar_text(address.find("trtype"));
    if (transport != "rdma") return report_foreign_port(value.position, transport, address);
    if (!has_room(config_.ports.size(), kMostPorts, value, reader_)) return;
    Port port;
    if (!import_port_id(value, port)) return reader_.error(value.position, "a port whose id is not valid", "");
    if (!import_address(value, port)) return reader_.error(value.position, "a port whose address is not valid", "");
    report_foreign_keys(value, kPortKeys, kForeignPortKeys, reader_);
    import_parameters(value);
    for_each(reader_, value, "referrals", [this](const Value& referral) { import_referral(referral); });
    const std::vector<Subsystem*> subsystems = offer_subsystems(value, port.id);
    for_each(reader_, value, "ana_groups", [&](const Value& group) { import_ana_group(group, port.id, subsystems); });
    config_.ports.push_back(std::move(port));
  }

  void report_foreign_port(Position position, const std::string& transport, const Value& address) {
    std::string security = scalar_text(address.find("tsas"));
    if (security == "none") security.clear();
    reader_.error(
        position, "a port of transport " + quote(transport) + (security.empty() ? "" : ", and its " + security),
        security.empty() ? "only RDMA is served"
                         : "only RDMA is served, where data is not encrypted: " + std::string(kSeparateNetwork));
  }

  // The kernel takes 0 too.
  bool import_port_id(const Value& value, Port& port) {
    if (scalar_text(value.find("portid")) == "0") {
      port.id = 1;
      while (port.id < kMostPortId && port_ids_.contains(std::to_string(port.id))) ++port.id;
      reader_.warning(value.position, "port 0 becomes port " + std::to_string(port.id) + ", because ids begin with 1",
                      "");
    } else if (!read_number(value, "portid", Integer{1, kMostPortId}, port.id, reader_)) {
      return false;
    }
    return reader_.unique("port id", std::to_string(port.id), value.position);
  }

  bool import_address(const Value& value, Port& port) {
    report_group(value, "addr", kAddressAttributes, kForeignAddressAttributes);
    const auto step = reader_.into("addr");
    const Value& address = member_or_empty(value, "addr");
    if (!read_member(address, "traddr", Address{kOurAddress, true}, port.address, reader_)) return false;
    const bool has_service = !scalar_text(address.find("trsvcid")).empty();
    if (has_service && !read_number(address, "trsvcid", Integer{1, kMostService}, port.service, reader_)) return false;
    const Value* security = address.find("tsas");
    if (scalar_text(security).starts_with("tls"))
      reader_.error(security->position, quote(scalar_text(security)) + " is not supported: data is not encrypted",
                    std::string(kSeparateNetwork));
    const Value* requirements = address.find("treq");
    if (scalar_text(requirements) == "required") {
      reader_.error(requirements->position, "secure channels are not supported", std::string(kSeparateNetwork));
    }
    return reader_.unique("address and service", port.address + ' ' + std::to_string(port.service), address.position);
  }

  void import_parameters(const Value& value) {
    report_group(value, "param", kPortParameters, kForeignPortParameters);
    const auto step = reader_.into("param");
    const Value& parameters = member_or_empty(value, "param");
    uint32_t bytes = 0;
    // -1 is the kernel's default.
    const bool chosen = scalar_text(parameters.find("inline_data_size")) != "-1";
    if (chosen && read_number(parameters, "inline_data_size", Integer{0, UINT32_MAX}, bytes, reader_)) {
      in_capsule_sizes_.insert({bytes, parameters.position});
    }
  }

  void set_in_capsule_size() {
    const auto [most, position] = *in_capsule_sizes_.rbegin();
    uint32_t& bytes = config_.rdma.in_capsule_data_bytes;
    bytes = std::min(most, kMostInCapsuleBytes) / kInCapsuleStepBytes * kInCapsuleStepBytes;
    if (in_capsule_sizes_.size() == 1 && bytes == most) return;
    reader_.warning(position,
                    "the size of in-capsule data is the same for all ports, now " + std::to_string(bytes) + " bytes",
                    R"(correct "in_capsule_data_bytes" of "rdma")");
  }

  void import_referral(const Value& value) {
    const Value& address = member_or_empty(value, "addr");
    if (scalar_text(address.find("trtype")) != "rdma") {
      return reader_.error(value.position, "a referral to another transport", "only RDMA is served");
    }
    if (scalar_text(value.find("enable")) == "0") {
      return reader_.error(value.position, "a referral that is not enabled", "");
    }
    if (!has_room(config_.discovery.referrals.size(), kMostReferrals, value, reader_)) return;
    const auto step = reader_.into("addr");
    Referral referral;
    if (!read_member(address, "traddr", Address{kTheirAddress}, referral.address, reader_)) return;
    read_number(address, "trsvcid", Integer{1, kMostService}, referral.service, reader_);
    read_number(address, "portid", Integer{0, kMostPortId}, referral.port_id, reader_);
    const std::string identity = referral.address + ' ' + std::to_string(referral.service);
    // Every port of the kernel's target has referrals of its own, mostly the same.
    if (referrals_.insert(identity).second) config_.discovery.referrals.push_back(std::move(referral));
  }

  std::vector<Subsystem*> offer_subsystems(const Value& value, uint16_t port) {
    std::vector<Subsystem*> offered;
    for_each(reader_, value, "subsystems", [&](const Value& nqn) {
      const auto found = std::ranges::find(config_.subsystems, scalar_text(&nqn), &Subsystem::nqn);
      if (found == config_.subsystems.end()) {
        return reader_.error(nqn.position, "subsystem " + quote(scalar_text(&nqn)) + " on this port",
                             "the subsystem does not exist, or was not carried over");
      }
      if (std::ranges::find(found->ports, port) != found->ports.end()) return;
      found->ports.push_back(port);
      offered.push_back(&*found);
    });
    return offered;
  }

  // The state optimized is the default, and a group without namespaces of the subsystem has no effect: neither is
  // written.
  void import_ana_group(const Value& value, uint16_t port, const std::vector<Subsystem*>& subsystems) {
    AnaGroup ana;
    ana.port = port;
    const Value& attributes = member_or_empty(value, "ana");
    if (!read_number(value, "grpid", Integer{1, kMostAnaGroups}, ana.group, reader_)) return;
    const auto step = reader_.into("ana");
    if (!read_member(attributes, "state", Word{kAnaStateNames}, ana.state, reader_)) return;
    if (ana.state == AnaState::optimized) return;
    for (Subsystem* subsystem : subsystems) {
      if (std::ranges::find(subsystem->namespaces, ana.group, &Namespace::ana_group) == subsystem->namespaces.end())
        continue;
      const bool is_new = reader_.unique("ANA group of port " + std::to_string(port) + " for " + subsystem->nqn,
                                         std::to_string(ana.group), value.position);
      if (is_new && has_room(subsystem->ana.size(), kMostAnaStates, value, reader_)) subsystem->ana.push_back(ana);
    }
  }

  Config& config_;
  Reader& reader_;
  std::string key_directory_;
  std::map<std::string, Host> authenticated_;  // hosts with keys, by NQN
  std::set<std::string> unknown_keys_;         // NQNs of hosts with keys that cannot be read
  std::map<std::string, std::pair<std::string, Position>> places_of_hosts_;
  std::vector<FoundKey> keys_;
  std::set<std::string> port_ids_;
  std::set<std::string> referrals_;
  std::map<uint32_t, Position> in_capsule_sizes_;
};

bool names_key(const Config& config, const std::string& path) {
  const auto is_of = [&](const Host& host) { return host.key_file == path || host.controller_key_file == path; };
  return std::ranges::any_of(config.subsystems,
                             [&](const Subsystem& one) { return std::ranges::any_of(one.hosts, is_of); });
}

}  // namespace

ImportResult import_nvmet_tree(const Value& root, const std::string& file, const std::string& key_directory) {
  if (root.find("subsystems") == nullptr || root.find("ports") == nullptr) {
    const bool is_spdk = !elements(root, "subsystems").empty();
    return refuse_import(file, root.position,
                         "nvmetcli did not save this file: it has no \"subsystems\" or no \"ports\"",
                         is_spdk ? "if SPDK wrote it: import spdk" : "save the target with: nvmetcli save FILE");
  }
  Config config;
  Reader reader(file);
  NvmetImport import(config, reader, key_directory);
  import.run(root);
  ImportResult result = finish_import(config, std::move(reader), file);
  result.keys = import.take_keys();
  // No subsystem lists the host: the config names no file for its key.
  std::erase_if(result.keys, [&](const FoundKey& key) { return !names_key(config, key.path); });
  return result;
}

ImportResult import_nvmetcli(std::string_view text, const std::string& file_name, const std::string& key_directory) {
  const ImportSource source = read_import_source(text, file_name);
  return source.root ? import_nvmet_tree(*source.root, file_name, key_directory) : ImportResult{source.refusal};
}

}  // namespace nvmf::config
