#include "target/core/datapath/error_log.h"

namespace nvmf::core {

void ErrorLog::collect(ErrorRing& ring) {
  CommandError error;
  while (ring.pop(error)) add(error);
}

nvme_error_log_page ErrorLog::entry(uint32_t age) const {
  nvme_error_log_page page{};
  if (age >= kEntries || age >= count_) return page;
  const uint64_t index = count_ - 1 - age;
  const CommandError& error = errors_[index % kEntries];
  page.error_count = index + 1;
  page.sqid = error.sqid;
  page.cmdid = error.cid;
  page.status_field = error.status;
  page.parm_error_location = error.location;
  page.lba = error.slba;
  page.nsid = error.nsid;
  page.trtype = NVMF_TRTYPE_RDMA;
  return page;
}

}  // namespace nvmf::core
