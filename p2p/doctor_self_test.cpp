// run_self_tests(): doctor's self-tests, for which it opens the devices.
#include <infiniband/verbs.h>

#include <algorithm>
#include <memory>

#include "p2p/doctor.h"
#include "p2p/witness.h"
#include "transport/verbs/verbs.h"

namespace nvmf::p2p {
namespace {

using OpenDevice = verbs::Owned<ibv_context, ibv_close_device>;

OpenDevice open_device(const std::string& name) {
  int count = 0;
  const verbs::Owned<ibv_device*, ibv_free_device_list> devices(ibv_get_device_list(&count));
  for (int i = 0; i < count; ++i)
    if (ibv_get_device_name(devices.get()[i]) == name) return OpenDevice(ibv_open_device(devices.get()[i]));
  return {};
}

void report_outcome(PairReport& pair, const SelfTestResult& result) {
  const bool usable = result.usable_at(result.active_mtu);
  if (pair.verdict != PairVerdict::Works) pair.verdict = usable ? PairVerdict::Works : PairVerdict::No;
  if (pair.verdict == PairVerdict::No) pair.provider.clear();
  pair.reasons.insert(pair.reasons.end(), result.findings.begin(), result.findings.end());
  pair.remedies.insert(pair.remedies.end(), result.remedies.begin(), result.remedies.end());
}

void test_pair(const Sysfs& sysfs, const NvmeController& ssd, const RdmaDevice& rnic, PairReport& pair) {
  try {
    const CmbMapping mapping = map_cmb(sysfs, ssd.bdf);
    const OpenDevice context = open_device(rnic.name);
    if (!context) {
      pair.reasons.push_back(rnic.name + " cannot be opened, so the pair was not tested");
      return;
    }
    std::string silent;
    const auto probe = open_ssd(sysfs, ssd.bdf, mapping, {0, mapping.length_bytes()}, silent);
    if (!probe) pair.reasons.push_back("the SSD could not take part in the self-test: " + silent);
    for (const RdmaPort& port : rnic.ports)
      if (port.active)
        report_outcome(pair, self_test(context.get(), static_cast<uint8_t>(port.number), mapping, {}, probe.get()));
  } catch (const PeerMemoryError& failure) {
    pair.reasons.push_back(std::string("not tested: ") + failure.what());
  }
}

}  // namespace

void run_self_tests(const Sysfs& sysfs, Report& report) {
  size_t pair = 0;
  for (const NvmeController& ssd : report.controllers)
    for (const RdmaDevice& rnic : report.rnics) {
      PairReport& tested = report.pairs[pair++];
      if (ssd.peer_memory && ssd.peer_memory->mappable) test_pair(sysfs, ssd, rnic, tested);
    }
}

}  // namespace nvmf::p2p
