// The part of /sys, /proc and /dev that doctor reads, as a folder of files: so that a machine can be judged elsewhere,
// and sent with a report of a bug. Sysfs reads it like a machine.
#pragma once

#include <cstddef>
#include <filesystem>

#include "p2p/sysfs.h"

namespace nvmf::p2p {

// What follows is no more than doctor would read, but for these: they tell what was booted and how.
inline constexpr const char* kSavedBesides[] = {"/proc/cmdline", "/proc/version", "/etc/os-release"};
// Of a file; the rest is left out.
inline constexpr size_t kMostSavedBytes = 64 << 10;

// Runs doctor on `machine`, and saves all that it asked for below `folder`, which must be empty or not exist: folders,
// links as they are, files with their content (device nodes without), and their rights (kRightsFile). Returns the
// number of files. Throws std::runtime_error: the folder, and what to do.
size_t save_tree(const Sysfs& machine, const std::filesystem::path& folder);

}  // namespace nvmf::p2p
