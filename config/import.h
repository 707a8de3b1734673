// Converts the configs of other targets.
//
// A result has a config, which parse() accepts once it is written, and a warning for each thing that could not be
// carried over or had to change: its place in the source, the reason, and what can be done. Or it has no config, and an
// error that says what is wrong with the source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/parse.h"

namespace nvmf::config {

// Where an import has the config look for the keys of hosts that had them in the other target's config.
inline constexpr char kImportedKeys[] = "/etc/nvmf-p2p/keys";

// A key of a host, for a file of its own: the config names the path.
struct FoundKey {
  std::string path;
  std::string text;
};

struct ImportResult : Result {
  size_t left_out = 0;  // warnings of things that were not carried over; the others are of things that had to change
  std::vector<FoundKey> keys{};  // of hosts that the config has; each path once
};

// The Linux kernel's target as nvmetcli saves it: /etc/nvmet/config.json. `file_name` is for messages only. The config
// names files in `key_directory` for the keys, which are in ImportResult::keys.
ImportResult import_nvmetcli(std::string_view text, const std::string& file_name,
                             const std::string& key_directory = kImportedKeys);

// The Linux kernel's target as it runs, from configfs: "/sys/kernel/config/nvmet". Paths in messages are those that
// nvmetcli would save it by.
ImportResult import_kernel(const std::string& configfs, const std::string& key_directory = kImportedKeys);

// The size of the blocks of a block device of this machine, in bytes; 0: unknown.
using BlockBytesOf = std::function<uint64_t(const std::string& path)>;

// SPDK's target as its RPC save_config prints it. `file_name` is for messages only. The config names the key files of
// SPDK's keyring.
ImportResult import_spdk(std::string_view text, const std::string& file_name, const BlockBytesOf& block_bytes_of = {});

}  // namespace nvmf::config
