// Bounds that both the config and the core define, because neither includes the other: they must agree.
#include "config/limits.h"
#include "target/core/datapath/limits.h"

namespace nvmf::daemon {

static_assert(config::kMostInCapsuleBytes == core::limits::kMaxInCapsuleBytes);
static_assert(config::kMostQueueDepth == core::limits::kMaxQueueDepth);
static_assert(config::kMostIoQueues == core::limits::kMaxIoQueues);
static_assert(config::kLeastMdtsBytes >= core::limits::kMinTransferBytes);
static_assert(config::kMostMdtsBytes == core::limits::kMaxTransferBytes);
static_assert(config::kMostNamespaces == core::limits::kMaxNamespaces);
static_assert(config::kMostAnaGroups == core::limits::kMaxAnaGroups);
static_assert(config::kMostControllers == core::limits::kMaxCntlid);

}  // namespace nvmf::daemon
