#include "target/core/datapath/status.h"

#include <cerrno>

namespace nvmf::core {
namespace {

struct Mapping {
  int error;
  Status status;
};

// The kernel's block layer defines these meanings (block/blk-core.c, blk_errors).
constexpr Mapping kMappings[] = {
    {ENOSPC, Status(NVME_SC_CAP_EXCEEDED).do_not_retry()},
    {EDQUOT, Status(NVME_SC_CAP_EXCEEDED).do_not_retry()},
    {EFBIG, Status(NVME_SC_CAP_EXCEEDED).do_not_retry()},
    {EOPNOTSUPP, Status(NVME_SC_INVALID_OPCODE).do_not_retry()},
    {EROFS, Status(NVME_SC_NS_WRITE_PROTECTED).do_not_retry()},
    {EBADE, Status(NVME_SC_RESERVATION_CONFLICT).do_not_retry()},
    {EREMOTEIO, Status(NVME_SC_INTERNAL).do_not_retry()},
    {ENODATA, media_error(NVME_SC_READ_ERROR)},
    {EILSEQ, media_error(NVME_SC_GUARD_CHECK)},
    {EAGAIN, NVME_SC_CMD_INTERRUPTED},
    {EBUSY, NVME_SC_CMD_INTERRUPTED},
    {EINTR, NVME_SC_CMD_INTERRUPTED},
    {ENOMEM, NVME_SC_CMD_INTERRUPTED},
    {ENODEV, NVME_SC_NS_NOT_READY},
    {ENXIO, NVME_SC_NS_NOT_READY},
};

}  // namespace

Status status_from_errno(int error) {
  if (error == 0) return kSuccess;
  for (const Mapping& mapping : kMappings) {
    if (mapping.error == error) return mapping.status;
  }
  return NVME_SC_INTERNAL;
}

}  // namespace nvmf::core
