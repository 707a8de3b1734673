// A device, the contexts in which programs have it open, and its asynchronous events.
#pragma once

#include <infiniband/verbs.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/rnic/event_pipe.h"
#include "tests/rnic/fabric.h"

namespace nvmf::rnic {

struct CompletionChannel;
class CompletionQueue;
class Device;
struct MemoryRegion;

// What ibv_open_device() gives: verbs.h finds the extended operations in front of the ibv_context.
struct Context : verbs_context {
  explicit Context(Device& opened);
  static Context& of(ibv_context* context) { return *static_cast<Context*>(verbs_get_ctx(context)); }

  // Told a little later. The element is that of ibv_async_event.
  void raise(ibv_event_type type, void* element = nullptr);
  // ibv_get_async_event(): false and errno when none waits.
  bool next_event(ibv_async_event& event);
  void acknowledge(const ibv_async_event& event);
  // A destroyed object's events that have not been read are gone; those that were read must have been acknowledged.
  void forget(const void* element, const char* call);

  Device& device;
  int objects = 0;  // that must go before the context
  std::vector<CompletionQueue*> completion_queues;
  bool shared = false;  // librdmacm's own, which lives as long as an id uses it
  int users = 0;

  std::vector<CompletionChannel*> channels;

 private:
  void close_descriptors();

  EventPipe events_;
  std::unordered_map<const void*, int> unacknowledged_;  // by element
  uint64_t raised_ = 0;                                  // events
  std::unordered_map<uint64_t, const void*> untold_;     // the elements of those that are still to be told
  Life life_;
};

class Device : public ibv_device {
 public:
  Device(Fabric& fabric, const std::string& device_name, in_addr address, const Profile& profile);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  Fabric& fabric() const { return fabric_; }
  Schedule& schedule() const { return fabric_.schedule(); }
  const Profile& profile() const { return profile_; }
  // Removed: what asks the kernel fails.
  bool is_gone() const { return gone_; }
  // A little later: it does nothing any more. Until then its queues go on (the kernel's ib_uverbs_free_hw_resources()
  // ends the system calls and tells DEVICE_FATAL before it destroys the queue pairs).
  bool has_stopped() const { return gone_ && schedule().now_ns() >= stops_at_ns_; }
  bool has_link() const { return link_up_ && !has_stopped(); }
  bool has_address(in_addr address) const;
  in_addr address() const { return addresses_.front(); }
  // One more host behind the same device.
  void add_address(const std::string& address);
  // It may have another device by now; one is left.
  void remove_address(const std::string& address);

  // IBV_EVENT_PORT_ERR or PORT_ACTIVE is told; what is under way is lost while it is down.
  void set_link(bool up);
  // IBV_EVENT_GID_CHANGE.
  void change_gid() { raise(IBV_EVENT_GID_CHANGE); }
  // From 256 to 4,096 bytes, of connections from now on.
  void set_mtu(ibv_mtu mtu) { mtu_ = mtu; }
  // As Profile::slow_destroy_ns says, from now on.
  void set_slow_destroy(uint64_t ns, unsigned percent) {
    profile_.slow_destroy_ns = ns;
    profile_.slow_destroy_percent = percent;
  }
  // What can be registered with it at a time; none: any size. More fails with ENOMEM.
  void limit_memory(std::optional<uint64_t> bytes) { most_memory_bytes_ = bytes; }
  bool takes_memory(uint64_t bytes) const { return !most_memory_bytes_ || bytes <= *most_memory_bytes_; }
  // As a device whose firmware does not answer: from now on nothing of a send queue is flushed; ibv_modify_qp() to a
  // state fails with ETIMEDOUT.
  void lose_flushes(bool lost) { loses_flushes_ = lost; }
  bool loses_flushes() const { return loses_flushes_; }
  void refuse(ibv_qp_state state, bool refused) { refused_states_[state] = refused; }
  bool refuses(ibv_qp_state state) const { return refused_states_[state]; }
  // What programs have made on it and not destroyed.
  int objects() const;

  Context& open();
  void close(Context& context);
  // librdmacm opens a device once.
  Context& share();
  void unshare(Context& context);
  // fabric.remove() is the call for it.
  void remove();
  void raise(ibv_event_type type);

  ibv_device_attr attributes() const;
  ibv_port_attr port_attributes() const;
  ibv_gid gid() const;

  // That exist, of all contexts.
  int queue_pairs = 0;
  int completion_queues = 0;
  int shared_receive_queues = 0;
  // By lkey, which is the rkey.
  std::unordered_map<uint32_t, MemoryRegion*> regions;

 private:
  Fabric& fabric_;
  Profile profile_;
  std::vector<in_addr> addresses_;
  std::vector<std::unique_ptr<Context>> contexts_;
  bool gone_ = false;
  bool link_up_ = true;
  ibv_mtu mtu_ = IBV_MTU_4096;
  uint64_t stops_at_ns_ = 0;  // where it is gone
  std::optional<uint64_t> most_memory_bytes_;
  bool loses_flushes_ = false;
  std::array<bool, IBV_QPS_UNKNOWN + 1> refused_states_{};
};

}  // namespace nvmf::rnic
