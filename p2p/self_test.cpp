#include "p2p/self_test.h"

#include <net/if.h>

#include <algorithm>
#include <random>

#include "p2p/ssd_proof.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr uint32_t kSmallestMtu = 256;
// RoCE's headers around a packet of 4096 bytes, rounded up.
constexpr uint32_t kNetdevMtuFor4096 = 4200;

std::vector<uint32_t> path_mtus_up_to(uint32_t active_mtu) {
  std::vector<uint32_t> mtus;
  for (uint32_t mtu = active_mtu; mtu >= kSmallestMtu; mtu /= 2) mtus.push_back(mtu);
  return mtus;
}

std::string trusted(const core::ProvenTransfers& proven) {
  using core::ProvenTransfers;
  const auto from = [](uint32_t mtu) { return " at path MTU " + std::to_string(mtu) + " or more"; };
  if (proven.page_start_from_mtu == ProvenTransfers::kNever) return "none";
  if (proven.any_offset_from_mtu == ProvenTransfers::kNever)
    return "only transfers that start on a page boundary" + from(proven.page_start_from_mtu);
  std::string text = "all transfers" + from(proven.any_offset_from_mtu);
  if (proven.page_start_from_mtu < proven.any_offset_from_mtu)
    text += ", those that start on a page boundary" + from(proven.page_start_from_mtu);
  return text;
}

// One failure for each kind of transfer that is not proved, at the largest path MTU where it failed.
void explain_failures(const Evidence& evidence, Direction direction, std::vector<std::string>& findings) {
  bool page_start = true;
  bool any_offset = true;
  for (const MtuEvidence& at : evidence.by_mtu) {
    const Trust& trust = direction == Direction::HostReads ? at.host_reads : at.host_writes;
    if ((any_offset && !trust.any_offset) || (page_start && !trust.page_start)) findings.push_back(trust.failure);
    any_offset = any_offset && trust.any_offset;
    page_start = page_start && trust.page_start;
  }
}

std::vector<std::string> findings(const Evidence& loop, const Evidence& evidence, const SsdEvidence& ssd_evidence,
                                  const SelfTestResult& result) {
  std::vector<std::string> said = {"host reads: " + trusted(result.host_reads) +
                                   "; host writes: " + trusted(result.host_writes)};
  if (!loop.no_page_copy.empty()) said.push_back(loop.no_page_copy);
  if (!evidence.no_page_copy.empty() && evidence.no_page_copy != loop.no_page_copy)
    said.push_back(evidence.no_page_copy);
  explain_failures(evidence, Direction::HostReads, said);
  explain_failures(evidence, Direction::HostWrites, said);
  if (!ssd_evidence.on_host_reads.empty()) said.push_back(ssd_evidence.on_host_reads);
  if (!ssd_evidence.on_host_writes.empty())
    said.push_back(ssd_evidence.on_host_writes + (ssd_evidence.host_writes == SsdVerdict::Silent
                                                      ? "; only the RNIC's loop has tested host writes"
                                                      : ""));
  return said;
}

void advise_larger_mtu(const SelfTestSubject& subject, std::vector<std::string>& remedies) {
  const std::string interface = subject.netdev.empty() ? "INTERFACE" : subject.netdev;
  remedies.push_back("raise the MTU of " + interface + " to at least " + std::to_string(kNetdevMtuFor4096) +
                     ", here, on the hosts and on the switches between, and reconnect the hosts: ip link set dev " +
                     interface + " mtu 9000");
}

void advise_another_path(const SelfTestSubject& subject, std::vector<std::string>& remedies) {
  remedies.push_back(
      "check the PCIe path between " + subject.ssd + " and " + subject.rnic +
      " with nvmf-p2p doctor: peer-to-peer works on every platform when both are below one PCIe switch without ACS "
      "redirection");
}

bool contradicted(const SsdEvidence& ssd_evidence) {
  return ssd_evidence.host_reads == SsdVerdict::Contradicts || ssd_evidence.host_writes == SsdVerdict::Contradicts;
}

void advise(const SelfTestSubject& subject, const Evidence& loop, bool ssd_contradicts, SelfTestResult& result) {
  using core::ProvenTransfers;
  const bool reads = result.host_reads.page_start_from_mtu != ProvenTransfers::kNever;
  const bool writes = result.host_writes.page_start_from_mtu != ProvenTransfers::kNever;
  if (reads && writes) return;
  if (loop.short_packets_right && subject.active_mtu < 4096) {
    result.findings.push_back(
        "only transfers of a single packet are correct: in longer ones this driver uses a wrong offset in the page; a "
        "path MTU of 4096 avoids this (it is " +
        std::to_string(subject.active_mtu) + " now)");
    return advise_larger_mtu(subject, result.remedies);
  }
  if (ssd_contradicts) result.remedies.push_back("set \"p2p\": \"off\" for the namespaces of " + subject.ssd);
  advise_another_path(subject, result.remedies);
}

SelfTestResult not_run(const std::string& why) {
  SelfTestResult result;
  result.findings.push_back("the self-test could not run: " + why);
  return result;
}

std::string netdev_of(ibv_context* context, const ibv_ah_attr& address) {
  ibv_gid_entry entry{};
  char name[IF_NAMESIZE] = "";
  if (address.is_global == 0 || ibv_query_gid_ex(context, address.port_num, address.grh.sgid_index, &entry, 0) != 0)
    return {};
  return if_indextoname(entry.ndev_ifindex, name) == nullptr ? std::string() : std::string(name);
}

CmbRange range_within(const CmbMapping& mapping, CmbRange range) {
  if (range.length_bytes == 0) range.length_bytes = mapping.length_bytes() - range.offset_bytes;
  return range;
}

uint64_t new_seed() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

}  // namespace

SelfTestResult examine(CopyEngine& engine, const SelfTestSubject& subject, uint64_t seed, uint32_t max_transfer_bytes,
                       SsdProbe* ssd) {
  const std::vector<uint32_t> path_mtus = path_mtus_up_to(subject.active_mtu);
  const ProofOptions options{seed, max_transfer_bytes};
  const Evidence loop = prove_by_loop(engine, path_mtus, options);
  Evidence evidence = loop;
  SsdEvidence ssd_evidence;
  if (ssd != nullptr && loop.page_copy_mtu != 0)
    ssd_evidence = confirm_with_ssd(*ssd, engine, loop.page_copy_mtu, seed);
  if (ssd != nullptr && loop.page_copy_mtu == 0) evidence = prove_with_ssd(*ssd, engine, path_mtus, options);

  SelfTestResult result;
  result.active_mtu = subject.active_mtu;
  if (ssd_evidence.host_reads != SsdVerdict::Contradicts)
    result.host_reads = proven_transfers(evidence, Direction::HostReads);
  if (ssd_evidence.host_writes != SsdVerdict::Contradicts)
    result.host_writes = proven_transfers(evidence, Direction::HostWrites);
  result.findings = findings(loop, evidence, ssd_evidence, result);
  advise(subject, loop, contradicted(ssd_evidence), result);
  return result;
}

std::string confirm(CopyEngine& engine, const SelfTestResult& proof, uint64_t seed) {
  const bool both = proof.active_mtu >= proof.host_reads.page_start_from_mtu &&
                    proof.active_mtu >= proof.host_writes.page_start_from_mtu;
  if (!both) return "only one direction was proved, so data cannot be sent into the CMB and read back";
  return prove_page_copies(engine, proof.active_mtu, seed);
}

std::string confirm(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions& options,
                    const SelfTestResult& proof) {
  const CmbRange range = range_within(mapping, options.range);
  if (testable_transfer_bytes(range.length_bytes, kPageBytes) == 0) return "the CMB is too small";
  try {
    RdmaLoop loop(context, port, mapping, range, proof_dram_bytes(kPageBytes), options.timeout);
    return confirm(loop, proof, new_seed());
  } catch (const std::exception& failure) {
    return failure.what();
  }
}

SelfTestResult self_test(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions& options,
                         SsdProbe* ssd) {
  SelfTestSubject subject;
  subject.rnic = std::string(ibv_get_device_name(context->device)) + " port " + std::to_string(port);
  subject.ssd = mapping.bdf();
  const CmbRange range = range_within(mapping, options.range);
  const uint32_t max_transfer_bytes = testable_transfer_bytes(range.length_bytes, options.max_transfer_bytes);
  if (max_transfer_bytes == 0) return not_run("the CMB is too small");
  try {
    RdmaLoop loop(context, port, mapping, range, proof_dram_bytes(max_transfer_bytes), options.timeout);
    subject.netdev = netdev_of(context, verbs::address_of_port(context, port));
    subject.active_mtu = verbs::mtu_bytes(verbs::query_port(context, port).active_mtu);
    return examine(loop, subject, new_seed(), max_transfer_bytes, ssd);
  } catch (const std::exception& failure) {
    return not_run(failure.what());
  }
}

}  // namespace nvmf::p2p
