#include "tests/simulation/model_cmb.h"

#include <cerrno>
#include <map>
#include <utility>

#include "p2p/cmb.h"
#include "p2p/self_test.h"
#include "p2p/witness.h"
#include "transport/verbs/verbs.h"

namespace nvmf::simulation {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr int kFirstDescriptor = 1 << 20;  // of no file

bool next_self_test_fails = false;

std::map<std::string, ModelCmb*>& all() {
  static std::map<std::string, ModelCmb*> by_bdf;
  return by_bdf;
}

}  // namespace

ModelCmb::ModelCmb(rnic::Fabric& fabric, std::string bdf, size_t bytes, bool can_be_pinned)
    : fabric_(fabric),
      bdf_(std::move(bdf)),
      length_bytes_(bytes),
      can_be_pinned_(can_be_pinned),
      memory_(new std::byte[bytes + kPageBytes]),
      address_(memory_.get() + (kPageBytes - reinterpret_cast<uintptr_t>(memory_.get()) % kPageBytes)) {
  all()[bdf_] = this;
  lend();
}

ModelCmb::~ModelCmb() { all().erase(bdf_); }

ModelCmb* ModelCmb::at(const std::string& bdf) {
  const auto found = all().find(bdf);
  return found == all().end() ? nullptr : found->second;
}

void ModelCmb::fail_next_self_test() { next_self_test_fails = true; }

void ModelCmb::lend() {
  descriptor_ = kFirstDescriptor + static_cast<int>(fabric_.new_number());
  lent_ = std::make_unique<rnic::DmaBuf>(fabric_, descriptor_, address_, length_bytes_, can_be_pinned_);
}

void ModelCmb::revoke() {
  lent_.reset();
  lend();
}

}  // namespace nvmf::simulation

namespace nvmf::p2p {

using simulation::ModelCmb;

CmbMapping::CmbMapping(std::string bdf, std::byte* address, size_t length_bytes)
    : bdf_(std::move(bdf)), address_(address), length_bytes_(length_bytes) {}
CmbMapping::CmbMapping(CmbMapping&& other) noexcept = default;
CmbMapping& CmbMapping::operator=(CmbMapping&& other) noexcept = default;
CmbMapping::~CmbMapping() = default;

// Of this machine.
std::optional<PeerMemory> read_peer_memory(const Sysfs&, const std::string&) { return std::nullopt; }

CmbMapping map_cmb(const Sysfs&, const std::string& bdf, size_t) {
  const ModelCmb* const cmb = ModelCmb::at(bdf);
  if (cmb == nullptr) throw PeerMemoryError(ENOENT, "the SSD at " + bdf + " has no CMB");
  return {bdf, cmb->address(), cmb->length_bytes()};
}

CmbRegion::CmbRegion(ibv_pd* domain, const CmbMapping& mapping) {
  const auto iova = reinterpret_cast<uintptr_t>(mapping.address());
  const int access = IBV_ACCESS_LOCAL_WRITE | verbs::read_sink_access(domain->context);
  region_.reset(
      ibv_reg_dmabuf_mr(domain, 0, mapping.length_bytes(), iova, ModelCmb::at(mapping.bdf())->descriptor(), access));
  if (!region_) throw PeerMemoryError(errno, "cannot register the CMB of " + mapping.bdf());
}

core::Buffer CmbRegion::buffer() const {
  core::Buffer buffer;
  buffer.address = static_cast<std::byte*>(region_->addr);
  buffer.length_bytes = static_cast<uint32_t>(region_->length);
  buffer.lkey = region_->lkey;
  buffer.kind = core::MemoryKind::Cmb;
  return buffer;
}

std::string confirm(ibv_context*, uint8_t, const CmbMapping&, const SelfTestOptions&, const SelfTestResult&) {
  return {};
}

std::unique_ptr<SsdProbe> open_ssd(const Sysfs&, const std::string&, const CmbMapping&, CmbRange, std::string&) {
  return nullptr;
}

ConsumerProof prove_consumer(const Sysfs&, const std::string&, ibv_context*, uint8_t, const CmbMapping& mapping,
                             CmbRange, uint32_t) {
  const ModelCmb& cmb = *ModelCmb::at(mapping.bdf());
  ConsumerProof proof;
  proof.host_reads = cmb.consumers_read();
  proof.host_writes = cmb.consumers_write();
  if (!proof.host_reads || !proof.host_writes) proof.reasons = {"the root complex drops it"};
  return proof;
}

// The model moves every byte that its rules let through.
SelfTestResult self_test(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions&,
                         SsdProbe*) {
  SelfTestResult result;
  if (ModelCmb::at(mapping.bdf())->is_out_of_reach(ibv_get_device_name(context->device))) return result;
  if (std::exchange(simulation::next_self_test_fails, false)) {
    result.findings = {"the self-test could not run: no port is up"};
    return result;
  }
  result.host_reads = result.host_writes = {.any_offset_from_mtu = 256, .page_start_from_mtu = 256};
  result.active_mtu = verbs::mtu_bytes(verbs::query_port(context, port).active_mtu);
  return result;
}

}  // namespace nvmf::p2p
