#include "target/core/datapath/denial.h"

namespace nvmf::core {

Status denial_status(Denials denials) {
  if ((denials & kHidden) != 0) return Status(NVME_SC_INVALID_NS).do_not_retry();
  if ((denials & kAnaInaccessible) != 0) return path_error(NVME_SC_ANA_INACCESSIBLE);
  if ((denials & kAnaPersistentLoss) != 0) return path_error(NVME_SC_ANA_PERSISTENT_LOSS);
  if ((denials & kAnaTransition) != 0) return path_error(NVME_SC_ANA_TRANSITION);
  if ((denials & kWriteProtected) != 0) return Status(NVME_SC_NS_WRITE_PROTECTED).do_not_retry();
  return Status(NVME_SC_RESERVATION_CONFLICT).do_not_retry();
}

}  // namespace nvmf::core
