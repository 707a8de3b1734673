// The block devices of an SPDK target («bdevs»), for the namespaces that are made of them.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/import_source.h"
#include "config/wording.h"

namespace nvmf::config {

// How a `Part` carries a call of the source over. Null: the call needs no counterpart.
template <class Part>
struct SpdkCall {
  std::string_view method;
  void (Part::*import)(const Value& params);
};

// Carries over the calls of one of SPDK's parts; reports those without a counterpart.
template <class Part>
void import_spdk_calls(const Value& part, std::span<const SpdkCall<Part>> calls, Part& owner, Reader& reader) {
  for_each(reader, part, "config", [&](const Value& entry) {
    const std::string method = scalar_text(entry.find("method"));
    const auto call = std::ranges::find(calls, method, &SpdkCall<Part>::method);
    if (call == calls.end()) {
      reader.error(entry.position, quote(method) + " has no counterpart in this target", "");
    } else if (call->import != nullptr) {
      const auto step = reader.into("params");
      (owner.*call->import)(member_or_empty(entry, "params"));
    }
  });
}

// "bdev", "nvmf", ...
std::string spdk_part(const Value& part);
// "rdma", "pcie", ..., in small letters.
std::string spdk_transport(const Value& address);

class SpdkBdevs {
 public:
  SpdkBdevs(Reader& reader, const BlockBytesOf& block_bytes_of) : reader_(reader), block_bytes_of_(block_bytes_of) {}

  // The calls of the part "bdev".
  void import(const Value& part);

  // Gives `ns` the block device `name`, with its settings. False when the device does not exist or is in use.
  bool find(const std::string& name, Position position, Namespace& ns);

 private:
  struct Bdev {
    Backend backend;
    std::optional<Uuid> uuid;
    bool read_only = false;
  };
  struct Limits {
    uint32_t max_iops = 0;
    uint32_t max_mib_per_s = 0;
  };

  void import_malloc(const Value& params);
  void import_file(const Value& params);
  void import_controller(const Value& params);
  void import_limits(const Value& params);
  void add(const Value& params, Bdev bdev);
  void compare_block_size(const Value& path, const std::string& served);
  bool read_block_size(const Value& params, uint32_t& block_size_bytes);
  bool find_ssd(const std::string& name, Namespace& ns) const;

  Reader& reader_;
  const BlockBytesOf& block_bytes_of_;
  std::map<std::string, Bdev> bdevs_;
  std::map<std::string, std::string> controllers_;  // PCI addresses by name
  std::map<std::string, Limits> limits_;
};

}  // namespace nvmf::config
