// Admin commands to SSDs without blocking: io_uring passthrough on the controllers' own devices (/dev/nvmeX). An SSD
// that does not answer holds up only its own command.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "target/backend/descriptor.h"
#include "target/nvme/types.h"

namespace nvmf::backend {

// A command that reads one SSD's SMART / Health page: NVMe Base 2.0, section 5.16.1.3. Must live until it is answered.
struct SmartQuestion {
  alignas(sizeof(nvme_smart_log)) nvme_smart_log page{};  // so that it lies in one page of memory
  // 0; an NVMe status; or minus errno. Called from NvmeAdmin::receive().
  void (*answered)(SmartQuestion& question, int result) = nullptr;
};

// The seam between the health of subsystems and the SSDs.
class NvmeAdmin {
 public:
  virtual ~NvmeAdmin() = default;
  // `controller`: an open /dev/nvmeX. False: the kernel takes no command at the moment.
  virtual bool ask(int controller, SmartQuestion& question) = 0;
  // Readable when there are answers.
  virtual int event_fd() const = 0;
  // Delivers the answers that have arrived.
  virtual void receive() = 0;
};

class NvmeAdminRing final : public NvmeAdmin {
 public:
  // Throws std::system_error.
  NvmeAdminRing();
  ~NvmeAdminRing() override;
  NvmeAdminRing(const NvmeAdminRing&) = delete;
  NvmeAdminRing& operator=(const NvmeAdminRing&) = delete;

  bool ask(int controller, SmartQuestion& question) override;
  int event_fd() const override { return event_.get(); }
  void receive() override;

 private:
  Descriptor event_;
  io_uring ring_;
};

}  // namespace nvmf::backend
