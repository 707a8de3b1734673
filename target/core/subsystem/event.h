// What an operator is told of: a line for the log, and what it is about.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace nvmf::core {

enum class Severity : uint8_t { Info, Warning, Error };

enum class EventKind : uint8_t {
  Other,
  Connect,         // a host has a new controller
  Disconnect,      // a host has lost a controller, or left
  Refusal,         // a host could not connect
  Authentication,  // a host has authenticated, or failed to
  Device,          // an SSD, another disk, or an RNIC came, went or failed
  Port,
  Namespace,
  Config,    // a change of the running config, or a refused one
  Fallback,  // commands went through DRAM although the namespace has peer memory
};
inline constexpr size_t kEventKinds = 10;

// As event streams and documents call it.
constexpr const char* name_of(EventKind kind) {
  constexpr std::array<const char*, kEventKinds> kNames = {"other",          "connect", "disconnect", "refusal",
                                                           "authentication", "device",  "port",       "namespace",
                                                           "config",         "fallback"};
  return kNames[static_cast<size_t>(kind)];
}

struct Event {
  Severity severity = Severity::Info;
  EventKind kind = EventKind::Other;
  std::string message{};    // one line: who, where, which rule, what to do
  std::string subsystem{};  // NQN; empty: none, or several
  std::string host{};       // NQN
  bool anybodys = false;    // who has not been let in can cause it, as often as he likes
};

}  // namespace nvmf::core
