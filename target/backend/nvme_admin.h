// Admin commands to SSDs that nobody waits for: io_uring passthrough on the controllers' own devices (/dev/nvmeX). An
// SSD that does not answer keeps its command, and nobody else.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "target/backend/descriptor.h"
#include "target/nvme/types.h"

namespace nvmf::backend {

// A question to one SSD for its SMART / Health page: NVMe Base 2.0, section 5.16.1.3. Must live until it is answered.
struct SmartQuestion {
  nvme_smart_log page{};
  // 0; an NVMe status; or minus errno. Called from NvmeAdminRing::receive().
  void (*answered)(SmartQuestion& question, int result) = nullptr;
};

class NvmeAdminRing {
 public:
  // Throws std::system_error.
  NvmeAdminRing();
  ~NvmeAdminRing();
  NvmeAdminRing(const NvmeAdminRing&) = delete;
  NvmeAdminRing& operator=(const NvmeAdminRing&) = delete;

  // `controller`: an open /dev/nvmeX. False: the kernel takes no command at the moment.
  bool ask(int controller, SmartQuestion& question);
  // Readable when there are answers.
  int event_fd() const { return event_.get(); }
  // Hands out the answers that there are.
  void receive();

 private:
  Descriptor event_;
  io_uring ring_;
};

}  // namespace nvmf::backend
