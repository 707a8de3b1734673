// The words in the file for the values of each enumeration: one table for reading, writing and the schema.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "config/config.h"

namespace nvmf::config {

template <class Enum, size_t N>
using Names = std::array<std::pair<std::string_view, Enum>, N>;

inline constexpr Names<LogLevel, 5> kLogLevelNames = {{{"trace", LogLevel::trace},
                                                       {"debug", LogLevel::debug},
                                                       {"info", LogLevel::info},
                                                       {"warn", LogLevel::warn},
                                                       {"error", LogLevel::error}}};

inline constexpr Names<LogFormat, 2> kLogFormatNames = {{{"text", LogFormat::text}, {"json", LogFormat::json}}};

inline constexpr Names<P2pMode, 3> kP2pModeNames = {
    {{"off", P2pMode::off}, {"prefer", P2pMode::prefer}, {"require", P2pMode::require}}};

inline constexpr Names<P2pWhenDry, 2> kP2pWhenDryNames = {{{"wait", P2pWhenDry::wait}, {"spill", P2pWhenDry::spill}}};

inline constexpr Names<RemoteInvalidate, 3> kRemoteInvalidateNames = {
    {{"proved", RemoteInvalidate::proved}, {"on", RemoteInvalidate::on}, {"off", RemoteInvalidate::off}}};

inline constexpr Names<AnaState, 5> kAnaStateNames = {{{"optimized", AnaState::optimized},
                                                       {"non-optimized", AnaState::non_optimized},
                                                       {"inaccessible", AnaState::inaccessible},
                                                       {"persistent-loss", AnaState::persistent_loss},
                                                       {"change", AnaState::change}}};

inline constexpr Names<DhchapHash, 3> kDhchapHashNames = {
    {{"sha256", DhchapHash::sha256}, {"sha384", DhchapHash::sha384}, {"sha512", DhchapHash::sha512}}};

inline constexpr Names<DhGroup, 6> kDhGroupNames = {{{"null", DhGroup::null},
                                                     {"ffdhe2048", DhGroup::ffdhe2048},
                                                     {"ffdhe3072", DhGroup::ffdhe3072},
                                                     {"ffdhe4096", DhGroup::ffdhe4096},
                                                     {"ffdhe6144", DhGroup::ffdhe6144},
                                                     {"ffdhe8192", DhGroup::ffdhe8192}}};

// The word for `value`; empty if it is not an enumerator.
template <class Enum, size_t N>
constexpr std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [name, named] : names) {
    if (named == value) return name;
  }
  return {};
}

constexpr std::string_view to_string(LogLevel value) { return name_of(kLogLevelNames, value); }
constexpr std::string_view to_string(P2pMode value) { return name_of(kP2pModeNames, value); }
constexpr std::string_view to_string(AnaState value) { return name_of(kAnaStateNames, value); }
constexpr std::string_view to_string(P2pWhenDry value) { return name_of(kP2pWhenDryNames, value); }

}  // namespace nvmf::config
