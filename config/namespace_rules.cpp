// Relations between the keys of a namespace: exactly one backend, and the keys that each backend allows.
#include <algorithm>
#include <array>

#include "config/paths.h"
#include "config/rules.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

// In the order of `Backend`.
constexpr std::array<std::string_view, std::variant_size_v<Backend>> kBackendKeys = {"nvme", "block", "file", "memory",
                                                                                     "dax"};

bool has(const Value& object, std::string_view key) { return object.find(key) != nullptr; }

bool is_word(const Value& value, std::string_view word) {
  const auto* text = value.as<std::string>();
  return text != nullptr && *text == word;
}

void check_backend(const Value& object, Reader& reader) {
  std::string_view first;
  for (const std::string_view key : kBackendKeys) {
    if (!has(object, key)) continue;
    if (first.empty()) {
      first = key;
    } else {
      reader.error_at(object, key, "a second backend, in addition to " + quote(first), "keep one of them");
    }
  }
  if (!first.empty() || misspells_one_of(kBackendKeys, object)) return;
  reader.error(object.position, "a namespace without a backend", "add one of " + list_of(kBackendKeys));
}

void check_block_size(const Value& object, const Namespace& ns, Reader& reader) {
  if (has(object, "nvme") || has(object, "block")) {
    reader.error_at(object, "block_size", "a device has its own block size", "remove this key");
  }
  const auto* memory = std::get_if<MemoryBackend>(&ns.backend);
  if (memory == nullptr || memory->size_bytes % memory->block_size_bytes == 0) return;
  reader.error_at(object, "memory", std::to_string(memory->size_bytes) + " bytes are not a whole number of blocks",
                  "write a multiple of " + std::to_string(memory->block_size_bytes));
}

void check_zero_copy(const Value& object, Reader& reader) {
  if (!has(object, "memory"))
    reader.error_at(object, "zero_copy", "only a namespace in memory can be read by an RNIC itself",
                    has(object, "dax") ? "remove this key: RNICs read a device DAX themselves"
                                       : "remove this key, or use \"memory\"");
}

template <size_t N>
std::string bytes_of(const std::array<uint8_t, N>& identifier) {
  return {identifier.begin(), identifier.end()};
}

// Whether the backend's device can move data by DMA to an address that the target chooses.
void check_p2p_is_possible(const Value& object, Reader& reader) {
  const std::string remedy = "write \"off\", or use \"nvme\" or \"block\"";
  if (has(object, "memory") || has(object, "dax")) {
    reader.error_at(object, "p2p", "only an SSD can move data to a CMB, memory cannot", remedy);
  } else if (has(object, "file")) {
    reader.error_at(object, "p2p", "the data of a file goes through the file system, which cannot move it to a CMB",
                    remedy);
  }
}

void check_p2p_is_required(const Value& object, Namespace& ns, Reader& reader) {
  if (ns.p2p_when_dry == P2pWhenDry::spill) {
    reader.error_at(object, "p2p_when_dry", "p2p \"require\" does not allow commands to spill to DRAM",
                    "write \"wait\", or p2p \"prefer\"");
  }
  if (ns.p2p_min_bytes != 0) {
    reader.error_at(object, "p2p_min_bytes", "p2p \"require\" does not allow DRAM for short commands",
                    "write 0, or p2p \"prefer\"");
  }
  ns.p2p_when_dry = P2pWhenDry::wait;
}

void check_p2p_is_off(const Value& object, Reader& reader) {
  for (const std::string_view key : {"p2p_when_dry", "p2p_provider", "p2p_min_bytes"}) {
    reader.warning_at(object, key, "this key has no effect, because p2p is \"off\"", "remove it, or switch p2p on");
  }
}

void check_p2p(const Value& object, Namespace& ns, Reader& reader) {
  const Value* p2p = object.find("p2p");
  if (p2p == nullptr && has(object, "nvme")) ns.p2p = P2pMode::prefer;
  const bool unreadable = p2p != nullptr && ns.p2p == P2pMode::off && !is_word(*p2p, "off");
  if (unreadable) return;
  switch (ns.p2p) {
    case P2pMode::off:
      return check_p2p_is_off(object, reader);
    case P2pMode::prefer:
      return check_p2p_is_possible(object, reader);
    case P2pMode::require:
      check_p2p_is_possible(object, reader);
      return check_p2p_is_required(object, ns, reader);
  }
}

// Calls `is_unique(key, noun, bytes)` for every identifier that hosts see: a UUID is the NGUID, too, where none was
// given. One key is reported once.
template <class IsUnique>
void for_each_identifier(const Namespace& ns, IsUnique is_unique) {
  const bool is_good = !ns.uuid || is_unique("uuid", "UUID", bytes_of(*ns.uuid));
  if (ns.uuid && !ns.nguid && is_good) is_unique("uuid", "NGUID", bytes_of(*ns.uuid));
  if (ns.nguid) is_unique("nguid", "NGUID", bytes_of(*ns.nguid));
  if (ns.eui64) is_unique("eui64", "EUI-64", bytes_of(*ns.eui64));
}

// The same text for two namespaces with the same device or file, as far as the config tells; empty for memory, which no
// two namespaces share.
std::string device_of(const Namespace& ns) {
  if (const auto* nvme = std::get_if<NvmeBackend>(&ns.backend); nvme != nullptr && !nvme->serial.empty())
    return "serial number " + nvme->serial + " namespace " + std::to_string(nvme->nsid);
  const auto path = [](const auto& backend) -> std::string {
    if constexpr (requires { backend.path; }) return backend.path.empty() ? "" : device_identity(backend.path);
    return "";
  };
  return std::visit(path, ns.backend);
}

}  // namespace

void check_namespace(const Value& object, Namespace& ns, Reader& reader) {
  check_backend(object, reader);
  check_block_size(object, ns, reader);
  check_zero_copy(object, reader);
  check_p2p(object, ns, reader);
}

void check_namespace_in_subsystem(const Value& object, const Namespace& ns, const std::string& subsystem,
                                  Reader& reader) {
  const std::string scope = subsystem + ' ';
  if (ns.nsid != 0) reader.unique_at(object, "nsid", "nsid", scope + std::to_string(ns.nsid));
  if (const std::string device = device_of(ns); !device.empty())
    reader.unique_at(object, kBackendKeys[ns.backend.index()], "device", scope + device);
  for_each_identifier(ns, [&](std::string_view key, std::string_view noun, const std::string& bytes) {
    return reader.unique_at(object, key, noun, scope + bytes);
  });
}

std::string NamespacesOfConfig::name_of_subsystem(const Named& named, const Reader& reader) {
  return named.subsystem.path + reader.elsewhere(named.position);
}

void NamespacesOfConfig::check(const Value& object, const Namespace& ns, const SubsystemPlace& subsystem,
                               Reader& reader) {
  const std::string device = device_of(ns);
  const std::string_view key_of_device = kBackendKeys[ns.backend.index()];
  const auto is_of_this = [&](const Named& named) { return named.subsystem.identity == subsystem.identity; };
  const Named here{subsystem, std::string(key_of_device), ns.backend_position};
  const Named& opened = by_device_.try_emplace(device, here).first->second;
  if (!device.empty() && opened.device != key_of_device && !is_of_this(opened)) {
    reader.error_at(object, key_of_device,
                    "the same device is " + quote(opened.device) + " in " + name_of_subsystem(opened, reader) +
                        ", and can be opened in one way only",
                    "name it by the same key");
  }
  for_each_identifier(ns, [&](std::string_view key, std::string_view noun, const std::string& bytes) {
    const Named identified{subsystem, device, object.find(key)->position};
    const auto [first, is_new] = by_identifier_.try_emplace(std::string(noun) + ' ' + bytes, identified);
    const bool same_device = !device.empty() && first->second.device == device;
    if (is_of_this(first->second) || same_device) return true;
    reader.error_at(
        object, key,
        "another device has the same " + std::string(noun) + " in " + name_of_subsystem(first->second, reader),
        "give each its own, because hosts would mistake one device for the other");
    return false;
  });
}

}  // namespace nvmf::config
