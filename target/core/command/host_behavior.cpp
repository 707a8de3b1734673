#include "target/core/command/host_behavior.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {
namespace {

using Data = nvme_feat_host_behavior;
static_assert(sizeof(Data) == 512);

void execute_get(Request& request) {
  const bool current = (request.sqe->cdw10 >> 8 & 0x7) == NVME_GET_FEATURES_SEL_CURRENT;
  Data data{};
  data.acre = current && controller_of(request).features().advanced_command_retry ? NVME_ENABLE_ACRE : 0;
  reply(request, data);
}

void execute_set(Request& request) {
  Data data;
  std::memcpy(&data, request.data.address, sizeof(data));
  const bool other = std::any_of(std::begin(data.rsvd1), std::end(data.rsvd1), [](uint8_t byte) { return byte != 0; });
  if (data.acre > NVME_ENABLE_ACRE || other) return finish(request, Status(NVME_SC_INVALID_FIELD).do_not_retry());
  controller_of(request).set_advanced_command_retry(data.acre == NVME_ENABLE_ACRE);
  finish(request, kSuccess);
}

}  // namespace

Status parse_get_host_behavior(Request& request) { return ready_to_reply(request, sizeof(Data), execute_get); }

Status parse_set_host_behavior(Request& request) { return ready_to_receive(request, sizeof(Data), execute_set); }

}  // namespace nvmf::core
