// Whether an RNIC can SEND with invalidate, with which an answer ends the use of its host's key (NVMe RDMA Transport
// 1.0, section 3.3: keyed SGL data block descriptor, invalidate subtype). Devices claim it with
// IBV_DEVICE_MEM_MGT_EXTENSIONS. Some claim it and fail: no Linux host can connect to these, because Connect already
// asks for it. So it is tried at start, before any host depends on it.
#pragma once

#include <infiniband/verbs.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "transport/verbs/loop.h"

namespace nvmf::rdma {

// What the operator says of a device.
enum class RemoteInvalidate : uint8_t {
  Proved,  // it is used when the device shows that it can
  On,      // it is used untried
  Off,
};

// Why the device is known to fail what it claims; empty: it is not in the table.
std::string known_liar(const ibv_device_attr& device);

// One SEND with invalidate on a pair of the device's own queue pairs, with a key that no memory has: that the other end
// refuses it shows that it was sent, and what it was. Not with which key, where the refusal does not tell: a device
// that sends another one passes; none is known. One thread.
class RemoteInvalidateTrial {
 public:
  // How long look() may be repeated. An RNIC takes microseconds; some take their retries' time to report a refusal.
  static constexpr uint32_t kTimeoutMs = 2000;

  // Starts it. Throws VerbsError: there can be no loop on this port.
  RemoteInvalidateTrial(ibv_pd* domain, uint8_t port);

  // None: it goes on. Empty: the device can. Otherwise what it did instead.
  std::optional<std::string> look();

 private:
  std::optional<std::string> judge(const ibv_wc& completion);
  uint32_t key() const;

  std::array<std::byte, 64> memory_{};
  verbs::MemoryRegion region_;
  verbs::LoopPair pair_;
  std::optional<std::string> verdict_;
};

}  // namespace nvmf::rdma
