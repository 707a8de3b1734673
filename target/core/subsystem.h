// An NVM subsystem: NVMe Base 2.0, sections 1.4 and 3.2. Control thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/core/io.h"

namespace nvmf::core {

class Controller;
class Target;
struct HostIdentity;
struct Queue;

struct NamespaceOptions {
  uint32_t nsid = 0;
  uint8_t lba_shift = 9;  // 9 or 12
  uint64_t block_count = 0;
  std::array<uint8_t, 16> uuid{};  // all zero: none
  std::array<uint8_t, 16> nguid{};
  std::array<uint8_t, 8> eui64{};
  bool supports_deallocate = false;
  bool supports_write_zeroes = false;
  bool supports_write_uncorrectable = false;
  bool volatile_write_cache = false;
  CopyLimits copy{};
  uint32_t optimal_io_boundary_blocks = 0;  // NOIOB
};

struct SubsystemOptions {
  std::string nqn;
  std::string serial;  // at most 20 ASCII characters
  std::string model;   // at most 40
  std::vector<uint16_t> ports;
  bool allow_any_host = false;
  std::vector<std::string> allowed_hosts;
  uint16_t max_controllers = 0xffef;
};

class Subsystem {
 public:
  // Made by Target::add_subsystem(), which has checked the options.
  Subsystem(Target& target, SubsystemOptions options, bool is_discovery);
  ~Subsystem();
  Subsystem(const Subsystem&) = delete;
  Subsystem& operator=(const Subsystem&) = delete;

  Target& target() const { return target_; }
  const std::string& nqn() const { return options_.nqn; }
  const SubsystemOptions& options() const { return options_; }
  bool is_discovery() const { return is_discovery_; }

  // Throws std::invalid_argument with a message for the operator.
  void add_namespace(const NamespaceOptions& options);
  // By ascending NSID.
  const std::vector<NamespaceOptions>& namespaces() const { return namespaces_; }
  const NamespaceOptions* find_namespace(uint32_t nsid) const;
  // A namespace appeared, changed or went: controllers tell their hosts. add_namespace() calls it itself.
  void namespace_changed(uint32_t nsid);

  bool allows(const std::string& hostnqn) const;
  bool is_on_port(uint16_t port_id) const;

  // By ascending CNTLID.
  const std::vector<std::unique_ptr<Controller>>& controllers() const { return controllers_; }
  // Null when there is none.
  Controller* find_controller(uint16_t cntlid) const;
  // A new controller with a CNTLID that has not been used for as long as possible; null when there are
  // max_controllers. Sets admin_queue.controller.
  Controller* create_controller(HostIdentity host, Queue& admin_queue, uint32_t kato_ms);
  void remove_controller(const Controller& controller);

 private:
  uint16_t next_cntlid();

  Target& target_;
  SubsystemOptions options_;
  bool is_discovery_;
  std::vector<NamespaceOptions> namespaces_;
  std::vector<std::unique_ptr<Controller>> controllers_;
  uint16_t last_cntlid_ = 0;
};

}  // namespace nvmf::core
