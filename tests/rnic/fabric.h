// A model of RNICs and the network between them, in one process: no kernel, no root, no hardware. This library
// defines the functions of libibverbs and librdmacm that the target and the tests call, for programs that are linked
// with it instead (CMake: the property MODEL_RNIC). The inline calls of verbs.h go through the operations that the
// model fills in.
//
//   Fabric fabric(seed);
//   fabric.add_device("mlx5_0", "192.0.2.1", connectx());
//   ... ibv_open_device(), rdma_bind_addr() and all that follows ...
//   while (fabric.schedule().step()) ...  // the network and the devices do their work
//   CHECK(fabric.faults().empty());       // what would hang or corrupt a program with the real libraries
//
// One thread; one Fabric at a time. What a device does takes virtual time (schedule.h): completions and events come in
// any order that the rules allow, late and in bursts.
//
// What is modelled: protection domains, memory regions with access rights and bounds, dma-bufs and their revocation,
// completion queues and channels, shared receive queues, RC queue pairs, the connection manager over IPv4, asynchronous
// events, removal of a device. What differs between providers is in profile.h.
//
// What is not modelled:
// - Threads: the libraries' locking, and completions that come while a call is under way.
// - Packets: a message is one piece, or two when it is longer than the path MTU. Nothing is lost but by a link that is
//   down; no congestion, no packet order, no limit of bandwidth; the service level, GIDs beyond one and P_Keys have no
//   meaning.
// - Memory windows, fast registration by work request (a host's keys are renewed and invalidated instead, memory.h),
//   atomics, immediate data, UD, UC, XRC, multicast, solicited events, extended completion queues, thread domains.
// - More than one completion vector: all completion queues share the first.
// - Providers without reg_dmabuf_mr (mlx4, siw, vmw_pvrdma, hns): here each device registers dma-bufs.
// - What revoking a dma-buf does to a region that pins it. Here each region of it is void from then on. In the kernel
//   that is so for importers that page on demand (mlx5, rxe) and for those that call
//   ib_umem_dmabuf_get_pinned_revocable_and_lock() (irdma since 2026). Other importers that pin cannot be told
//   (ib_umem_dmabuf_unsupported_move_notify()): an exporter that revokes does not let them pin (VFIO's
//   vfio_pci_dma_buf_pin()), and the region of one that does lives on.
// - The faults of on-demand pages, and their invalidation by the kernel: such a region is as good as a pinned one.
// - The limits of a device but for its queues: protection domains and memory regions are never too many.
// - Numbers that come again: queue pair numbers and keys are given once, so that a late message never finds another's.
// - ibv_poll_cq() that fails: nothing brings it about. RDMA_CM_EVENT_UNREACHABLE of a neighbour whose hardware address
//   has changed.
// - The order in which the bytes of one piece become visible, and PCIe: peer-to-peer transfers are memory copies.
// - What destroying waits for: a real ibv_destroy_cq() sleeps until the last event is acknowledged; here it is a fault.
// - The time that a call itself takes, but for ibv_destroy_qp(), and where on_call counts it.
// - Shortage of memory in the libraries and the kernel, but where memory is registered.
// - IPv6 addresses, several ports of a device, bonding, the migration of paths, rdma_migrate_id().
#pragma once

#include <infiniband/verbs.h>
#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/rnic/profile.h"
#include "tests/rnic/schedule.h"
#include "tests/rnic/story.h"

namespace nvmf::rnic {

class ConnectionManager;
class Device;
struct DmaBuf;
struct QueuePair;

class Fabric {
 public:
  explicit Fabric(uint64_t seed);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  // The one that lives: the C functions' way to it. Aborts when there is none.
  static Fabric& living();
  // Null when there is none.
  static const Fabric* current();

  Schedule& schedule() { return schedule_; }
  uint64_t now_ns() const { return schedule_.now_ns(); }

  // `address`: IPv4, in dotted form. A device that comes back has the name of one that was removed, and is a new one.
  Device& add_device(const std::string& name, const std::string& address, const Profile& profile);
  // DEVICE_FATAL and DEVICE_REMOVAL are told, and nothing completes any more. The object stays.
  void remove(Device& device);
  // Removed ones not.
  const std::vector<Device*>& devices() const { return present_; }
  // Null: none has the address. `address`: sockaddr_in.
  Device* device_at(in_addr address) const;

  // What a program did that hangs, leaks or corrupts with the real libraries.
  void fault(std::string what) { faults_.push_back(std::move(what)); }
  const std::vector<std::string>& faults() const { return faults_; }
  // For tests of the faults themselves.
  std::vector<std::string> take_faults() { return std::exchange(faults_, {}); }

  // A call blocks its caller for so long. By default nothing else than devices and network goes on meanwhile.
  std::function<void(uint64_t ns)> block = [this](uint64_t ns) { schedule_.advance(ns); };

  // Before each poll of a completion queue and each post of a send: what these cost their caller's CPU, in which others
  // go on. Empty: they take no time.
  std::function<void()> on_call;
  void begin_call() {
    if (on_call) on_call();
  }

  // See story.h.
  void note(const char* format, uint64_t a = 0, uint64_t b = 0) { story_.note(now_ns(), format, a, b); }
  void note(std::string text) { story_.note(now_ns(), std::move(text)); }
  void note_routine(const char* format, uint64_t a = 0, uint64_t b = 0) { story_.note_routine(now_ns(), format, a, b); }
  // What the story is about: its last line.
  void entitle(std::string title) { title_ = std::move(title); }
  std::string story() const { return story_.text() + (title_.empty() ? "" : "(" + title_ + ")\n"); }

  // For the model's parts.
  uint32_t new_number() { return ++numbers_; }
  void enter(QueuePair& queue_pair);
  void leave(const QueuePair& queue_pair);
  QueuePair* find_queue_pair(uint32_t number) const;
  ConnectionManager& connections() { return *connections_; }
  // Memory that a dma-buf's descriptor stands for (memory.h).
  std::unordered_map<int, DmaBuf*> dma_bufs;

 private:
  Schedule schedule_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<Device*> present_;
  std::vector<std::string> faults_;
  std::string title_;
  Story story_;
  uint32_t numbers_ = 16;
  std::unordered_map<uint32_t, QueuePair*> queue_pairs_;
  std::unique_ptr<ConnectionManager> connections_;
};

}  // namespace nvmf::rnic
