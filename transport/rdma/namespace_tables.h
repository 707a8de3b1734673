// The namespaces that I/O commands of one poll group can use: a table per subsystem, which the control thread changes
// while the group's thread uses it. And the places where requests may wait for a namespace: pools and limits.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "target/core/datapath/buffer_pool.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/rate_limit.h"
#include "target/core/reactor/intrusive_list.h"
#include "target/core/reactor/mailbox.h"

namespace nvmf::rdma {

class NamespaceTables;

// One entry of a subsystem's table, to be changed.
struct NamespaceChange {
  const core::Subsystem* subsystem = nullptr;
  uint32_t nsid = 0;
  const core::IoNamespace* next = nullptr;  // null: the namespace is removed
  // Control thread: no command uses the previous namespace any more.
  void (*done)(NamespaceChange& change) = nullptr;
  void* context = nullptr;

  // For the tables.
  NamespaceTables* tables = nullptr;
  core::IoNamespaceTable* table = nullptr;
  const core::IoNamespace* previous = nullptr;
  NamespaceChange* next_waiting = nullptr;
  core::Message message;
};

class NamespaceTables {
 public:
  // `thread`: the mailbox of the group's thread. `control`: the control thread's.
  NamespaceTables(core::Mailbox& thread, core::Mailbox& control, uint32_t max_transfer_bytes)
      : thread_(thread), control_(control), max_transfer_bytes_(max_transfer_bytes) {}

  // Control thread ------------------------------------------------------------------------------------------------

  // A table is empty at first. It may be destroyed when no queue was connected with it (core::Queue::namespaces), or
  // when all those have been destroyed.
  void open(const core::Subsystem& subsystem);
  std::unique_ptr<core::IoNamespaceTable> close(const core::Subsystem& subsystem);
  const core::IoNamespaceTable* find(const core::Subsystem& subsystem) const;
  // `change` and the objects it refers to must live until done() is called.
  void change(NamespaceChange& change);

  // The group's thread --------------------------------------------------------------------------------------------

  bool is_changing() const { return !changing_.empty(); }
  // At the end of each turn while there are changes: calls done() for those whose previous namespace no command uses
  // any more (IoNamespace::commands).
  void report_changed();

  // Pools and limits in which requests may wait: those of the namespaces that the tables hold, or that commands use
  // still; and the group's own, which is added once.
  void add(core::BufferPool& pool);
  const std::vector<core::BufferPool*>& pools() const { return pools_; }
  const std::vector<core::Throttle*>& throttles() const { return throttles_; }

 private:
  void begin(NamespaceChange& change);
  void forget(const core::BufferPool& pool);

  core::Mailbox& thread_;
  core::Mailbox& control_;
  uint32_t max_transfer_bytes_;

  // Control thread.
  std::unordered_map<const core::Subsystem*, std::unique_ptr<core::IoNamespaceTable>> tables_;

  // The group's thread.
  core::IntrusiveList<NamespaceChange, &NamespaceChange::next_waiting> changing_;
  std::vector<core::BufferPool*> pools_;
  std::vector<uint32_t> uses_;  // of each of them
  std::vector<core::Throttle*> throttles_;
};

}  // namespace nvmf::rdma
