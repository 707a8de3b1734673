#include "tests/simulation/admin_lane.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "target/core/datapath/limits.h"

namespace nvmf::simulation {
namespace {

constexpr unsigned kKinds = 9;
constexpr size_t kMost = 6;  // of the queue's 32 entries, besides those that wait for events
constexpr uint32_t kPage = 4096;

// Log pages that an I/O controller of this target has, and bytes of them.
struct LogPage {
  uint8_t lid;
  uint32_t bytes;
};
constexpr LogPage kLogs[] = {{NVME_LOG_LID_ERROR, 64},         {NVME_LOG_LID_SMART, 512},
                             {NVME_LOG_LID_FW_SLOT, 512},      {NVME_LOG_LID_CHANGED_NS, 4096},
                             {NVME_LOG_LID_CMD_EFFECTS, 4096}, {NVME_LOG_LID_ANA, 16}};
constexpr uint8_t kFeatures[] = {NVME_FEAT_FID_ARBITRATION, NVME_FEAT_FID_POWER_MGMT, NVME_FEAT_FID_NUM_QUEUES,
                                 NVME_FEAT_FID_ASYNC_EVENT, NVME_FEAT_FID_KATO};

// By kind.
constexpr std::array<const char*, kKinds> kNames{"Identify Controller",
                                                 "Identify Namespace",
                                                 "Identify, Active Namespace ID list",
                                                 "Get Log Page",
                                                 "Get Features",
                                                 "Set Features",
                                                 "Keep Alive",
                                                 "Abort",
                                                 "Asynchronous Event Request"};

nvme::Sqe identify(uint8_t cns, uint32_t nsid) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_identify;
  sqe.nsid = nsid;
  sqe.cdw10 = cns;
  return sqe;
}

nvme::Sqe log_page(uint8_t lid, uint32_t bytes) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_get_log_page;
  sqe.nsid = NVME_NSID_ALL;
  const uint32_t numd_z = bytes / 4 - 1;
  sqe.cdw10 = lid | (numd_z & 0xffff) << 16;
  sqe.cdw11 = numd_z >> 16;
  return sqe;
}

nvme::Sqe feature(uint8_t opcode, uint8_t fid, uint32_t value) {
  nvme::Sqe sqe{};
  sqe.opcode = opcode;
  sqe.cdw10 = fid;
  sqe.cdw11 = value;
  return sqe;
}

nvme::Sqe plain(uint8_t opcode) {
  nvme::Sqe sqe{};
  sqe.opcode = opcode;
  return sqe;
}

}  // namespace

const char* AdminLane::name_of(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

void AdminLane::turn(const std::vector<uint16_t>& cids) {
  HostQueue& queue = host_.admin();
  queue.turn();
  std::vector<Asked> open;
  for (const Asked& one : asked_) {
    if (queue.answer(one.cid))
      take(one);
    else
      open.push_back(one);
  }
  asked_ = std::move(open);
  if (!is_connected()) return;
  for (const Asked& one : asked_)
    if (one.kind != Kind::Event && world_.is_late(queue, one.sent_ns, bound_ns_))
      return fault(std::string(name_of(one.kind)) + " is not answered in time");
  rnic::Random& random = world_.fabric.schedule().random();
  if (random.chance(70) || asked_.size() - events_ >= kMost || !queue.has_room()) return;
  send(static_cast<Kind>(random.below(kKinds)), cids);
}

void AdminLane::send(Kind kind, const std::vector<uint16_t>& cids) {
  rnic::Random& random = world_.fabric.schedule().random();
  nvme::Sqe sqe{};
  uint32_t bytes = 0;
  uint16_t aborted_cid = 0;
  switch (kind) {
    case Kind::Identify:
      sqe = identify(NVME_IDENTIFY_CNS_CTRL, 0), bytes = kPage;
      break;
    case Kind::Namespace:
      sqe = identify(NVME_IDENTIFY_CNS_NS, World::kNsid), bytes = kPage;
      break;
    case Kind::ActiveList:
      sqe = identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0), bytes = kPage;
      break;
    case Kind::Log: {
      const LogPage& log = kLogs[random.below(std::size(kLogs))];
      sqe = log_page(log.lid, log.bytes), bytes = log.bytes;
      break;
    }
    case Kind::GetFeature:
      sqe = feature(nvme_admin_get_features, kFeatures[random.below(std::size(kFeatures))], 0);
      break;
    case Kind::SetFeature:
      sqe = feature(nvme_admin_set_features, NVME_FEAT_FID_ASYNC_EVENT, 1u << 8 | 1u << 11);
      break;
    case Kind::KeepAlive:
      sqe = plain(nvme_admin_keep_alive);
      break;
    case Kind::Abort: {
      if (cids.empty()) return;
      aborted_cid = cids[random.below(cids.size())];
      sqe = plain(nvme_admin_abort_cmd);
      sqe.cdw10 = 1u | uint32_t{aborted_cid} << 16;
      break;
    }
    case Kind::Event:
      if (events_ == core::limits::kMaxAsyncEvents) return;
      sqe = plain(nvme_admin_async_event);
      ++events_;
      break;
  }
  world_.fabric.note_routine(name_of(kind));
  const Direction direction = bytes != 0 ? Direction::ToHost : Direction::None;
  asked_.push_back({host_.admin().send(sqe, direction, Bytes(bytes)), kind, world_.fabric.now_ns(), aborted_cid});
}

bool AdminLane::is_aborting(uint16_t cid) const {
  return std::ranges::any_of(asked_,
                             [cid](const Asked& one) { return one.kind == Kind::Abort && one.aborted_cid == cid; });
}

void AdminLane::take(const Asked& asked) {
  const int status = host_.admin().answer(asked.cid)->status >> 1 & 0x7ff;
  const Bytes data = host_.admin().take(asked.cid);
  if (asked.kind == Kind::Event) --events_;
  ++completed_;
  check(asked, status, data);
}

// Of Abort commands so many may be outstanding; events come with what happens.
void AdminLane::check(const Asked& asked, int status, const Bytes& data) {
  const Kind kind = asked.kind;
  const bool was_disturbed = world_.is_disturbed_since(asked.sent_ns);
  if (kind == Kind::Abort && status == NVME_SC_ABORT_LIMIT + (NVME_SCT_CMD_SPECIFIC << 8)) return;
  const bool may_fail = kind == Kind::Event || (kind == Kind::Namespace && was_disturbed);
  if (status != 0) {
    if (!may_fail) fault(std::string(name_of(kind)) + " failed with status " + std::to_string(status));
    return;
  }
  if (kind == Kind::Identify && std::memcmp(data.data() + 4, "SN-0001 ", 8) != 0) fault("another serial number");
  if (kind == Kind::ActiveList && !was_disturbed && data.front() != std::byte{World::kNsid})
    fault("the list of active namespaces does not begin with the first one");
  if (kind != Kind::Namespace) return;
  uint64_t blocks = 0;
  std::memcpy(&blocks, data.data(), sizeof blocks);
  if (blocks != world_.disk.block_count() && !was_disturbed)
    fault("a namespace of " + std::to_string(blocks) + " blocks, not " + std::to_string(world_.disk.block_count()));
}

}  // namespace nvmf::simulation
