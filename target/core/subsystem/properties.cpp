#include "target/core/subsystem/properties.h"

#include "target/core/datapath/limits.h"
#include "target/nvme/types.h"

namespace nvmf::core {
namespace {

// CAP.TO and CRTO.CRWMT, units of 500 ms. The target is ready at once; a reset takes as long as its disks.
constexpr uint32_t kReadyTimeout = limits::kReadyTimeoutMs / 500;

constexpr uint32_t kIoSqes = 6;  // 64 bytes
constexpr uint32_t kIoCqes = 4;  // 16 bytes

constexpr bool is_enabled(uint32_t cc) { return (cc & NVME_CC_EN_MASK) != 0; }
constexpr uint32_t field(uint32_t cc, unsigned shift, uint32_t mask) { return cc >> shift & mask; }
constexpr uint32_t css(uint32_t cc) { return field(cc, NVME_CC_CSS_SHIFT, NVME_CC_CSS_MASK); }
constexpr bool asks_shutdown(uint32_t cc) { return field(cc, NVME_CC_SHN_SHIFT, NVME_CC_SHN_MASK) != NVME_CC_SHN_NONE; }

}  // namespace

// Transitions that are not in the table change nothing.
const Properties::Transition Properties::kTransitions[] = {
    {State::Disabled, Change::Enable, State::Ready, Action::Start},
    {State::Disabled, Change::ShutDown, State::ShutDown, Action::None},
    {State::Disabled, Change::Fail, State::Failed, Action::None},
    {State::Ready, Change::ShutDown, State::ShuttingDown, Action::ShutDown},
    {State::Ready, Change::Disable, State::Resetting, Action::Quiesce},
    {State::Ready, Change::Fail, State::Failed, Action::None},
    {State::Resetting, Change::Quiesced, State::Disabled, Action::Reset},
    {State::Resetting, Change::Fail, State::Failed, Action::None},
    {State::ShuttingDown, Change::Quiesced, State::ShutDown, Action::None},
    {State::ShuttingDown, Change::Disable, State::Resetting, Action::Quiesce},
    {State::ShuttingDown, Change::Fail, State::Failed, Action::None},
    {State::ShutDown, Change::Enable, State::Ready, Action::Start},
    {State::ShutDown, Change::Disable, State::Resetting, Action::Quiesce},
    {State::ShutDown, Change::Fail, State::Failed, Action::None},
    {State::Failed, Change::Disable, State::Resetting, Action::Quiesce},
};

Properties::Properties(uint16_t max_queue_depth, bool io_controller, SubsystemReset reset)
    : cap_(static_cast<uint64_t>(max_queue_depth - 1) << NVME_CAP_MQES_SHIFT | uint64_t{1} << NVME_CAP_CQR_SHIFT |
           uint64_t{kReadyTimeout} << NVME_CAP_TO_SHIFT | uint64_t{NVME_CAP_CSS_NVM} << NVME_CAP_CSS_SHIFT |
           uint64_t{NVME_CAP_CRWMS} << NVME_CAP_CRMS_SHIFT),
      io_controller_(io_controller),
      reset_(reset) {
  if (io_controller) cap_ |= uint64_t{NVME_CAP_CSS_CSI} << NVME_CAP_CSS_SHIFT;
  if (supports_subsystem_reset()) cap_ |= uint64_t{1} << NVME_CAP_NSSRC_SHIFT;
}

std::optional<uint64_t> Properties::read(uint32_t offset, uint8_t size_bytes) const {
  const struct {
    uint32_t offset;
    uint8_t size_bytes;
    uint64_t value;
  } properties[] = {
      {NVME_REG_CAP, 8, cap_},
      {NVME_REG_VS, 4, kVersion},
      {NVME_REG_CC, 4, cc_},
      {NVME_REG_CSTS, 4, csts()},
      {NVME_REG_CRTO, 4, kReadyTimeout << NVME_CRTO_CRWMT_SHIFT},
  };
  if (offset == NVME_REG_NSSR && size_bytes == 4 && supports_subsystem_reset()) return 0;
  for (const auto& property : properties) {
    if (property.offset == offset && property.size_bytes == size_bytes) return property.value;
  }
  return std::nullopt;
}

bool Properties::asks_normal_shutdown() const {
  return field(cc_, NVME_CC_SHN_SHIFT, NVME_CC_SHN_MASK) == NVME_CC_SHN_NORMAL;
}

bool Properties::enables_all_command_sets() const { return css(cc_) == NVME_CC_CSS_CSI; }

// One write may both enable (or disable) and ask for a shutdown. A disable prevails over a shutdown.
Properties::Action Properties::write_cc(uint32_t cc) {
  const uint32_t before = cc_;
  cc_ = cc;
  if (is_enabled(before) && !is_enabled(cc)) return apply(Change::Disable);
  Action action = Action::None;
  if (!is_enabled(before) && is_enabled(cc)) {
    if (!acceptable(cc)) {
      fail();
      return Action::Fail;
    }
    action = apply(Change::Enable);
  }
  if (!asks_shutdown(before) && asks_shutdown(cc)) action = apply(Change::ShutDown);
  return action;
}

bool Properties::write_csts(uint32_t csts) {
  const bool clears = (csts >> NVME_CSTS_NSSRO_SHIFT & NVME_CSTS_NSSRO_MASK) != 0;
  if (!clears || reset_ != SubsystemReset::Occurred) return false;
  reset_ = SubsystemReset::Supported;
  return true;
}

uint32_t Properties::csts() const {
  uint32_t csts = rdy_ ? 1u << NVME_CSTS_RDY_SHIFT : 0;
  if (state_ == State::Failed) csts |= 1u << NVME_CSTS_CFS_SHIFT;
  if (reset_ == SubsystemReset::Occurred) csts |= 1u << NVME_CSTS_NSSRO_SHIFT;
  if (state_ == State::ShuttingDown) csts |= uint32_t{NVME_CSTS_SHST_OCCUR} << NVME_CSTS_SHST_SHIFT;
  if (state_ == State::ShutDown) csts |= uint32_t{NVME_CSTS_SHST_CMPLT} << NVME_CSTS_SHST_SHIFT;
  return csts;
}

Properties::Action Properties::apply(Change change) {
  for (const Transition& transition : kTransitions) {
    if (transition.from != state_ || transition.change != change) continue;
    state_ = transition.to;
    if (transition.action == Action::Start) rdy_ = true;
    if (transition.action == Action::Reset) rdy_ = false;
    return transition.action;
  }
  return Action::None;
}

// For a discovery controller the entry sizes should be zero, but hosts set them nevertheless.
bool Properties::acceptable(uint32_t cc) const {
  if (css(cc) != NVME_CC_CSS_NVM && (!io_controller_ || css(cc) != NVME_CC_CSS_CSI)) return false;
  if (field(cc, NVME_CC_MPS_SHIFT, NVME_CC_MPS_MASK) != 0) return false;
  if (field(cc, NVME_CC_AMS_SHIFT, NVME_CC_AMS_MASK) != NVME_CC_AMS_RR) return false;
  if (!io_controller_) return true;
  return field(cc, NVME_CC_IOSQES_SHIFT, NVME_CC_IOSQES_MASK) == kIoSqes &&
         field(cc, NVME_CC_IOCQES_SHIFT, NVME_CC_IOCQES_MASK) == kIoCqes;
}

}  // namespace nvmf::core
