#include "target/daemon/proof_files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <bit>
#include <ctime>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr char kPurpose[] = "proof";
constexpr uint32_t kSmallestMtu = 256;
constexpr uint32_t kLargestMtu = 4096;

StateOwner owner_of(const p2p::ProofSubject& pair) {
  return {.storage = "CMB of " + pair.bdf + " with " + pair.rnic + " port " + std::to_string(pair.port)};
}

Json json_from(const core::ProvenTransfers& proven) {
  return Json{{"any_offset_from_mtu", proven.any_offset_from_mtu}, {"page_start_from_mtu", proven.page_start_from_mtu}};
}

uint32_t mtu_in(const Json& json, const char* key) {
  const auto mtu = json.at(key).get<uint32_t>();
  if (mtu != core::ProvenTransfers::kNever && (!std::has_single_bit(mtu) || mtu < kSmallestMtu || mtu > kLargestMtu))
    throw std::runtime_error(fmt::format("{} is no path MTU: {}", key, mtu));
  return mtu;
}

core::ProvenTransfers proven_in(const Json& json) {
  core::ProvenTransfers proven;
  proven.any_offset_from_mtu = mtu_in(json, "any_offset_from_mtu");
  proven.page_start_from_mtu = mtu_in(json, "page_start_from_mtu");
  if (proven.page_start_from_mtu > proven.any_offset_from_mtu)
    throw std::runtime_error("transfers at any offset are proved, and those that start on a page are not");
  return proven;
}

p2p::SelfTestResult proof_in(const Json& json) {
  p2p::SelfTestResult proof;
  proof.host_reads = proven_in(json.at("host_reads"));
  proof.host_writes = proven_in(json.at("host_writes"));
  proof.active_mtu = mtu_in(json, "active_mtu");
  proof.findings = json.at("findings").get<std::vector<std::string>>();
  proof.remedies = json.at("remedies").get<std::vector<std::string>>();
  return proof;
}

}  // namespace

std::string ProofFiles::path_of(const p2p::ProofSubject& pair) const {
  return directory_.file(kPurpose, owner_of(pair));
}

ProofFiles::Kept ProofFiles::find(const p2p::ProofSubject& pair, const p2p::ProofConditions& now) const {
  if (now.empty()) return {};
  try {
    const auto json = directory_.read(kPurpose, owner_of(pair), kFormat);
    if (!json) return {};
    const auto then = json->at("conditions").get<p2p::ProofConditions>();
    if (std::string other = p2p::difference(then, now); !other.empty()) return {.why_not = std::move(other)};
    return {.proof = proof_in(json->at("proof")), .made_at = json->at("made_at").get<std::string>()};
  } catch (const std::exception& error) {
    return {.why_not = path_of(pair) + " is broken: " + error.what()};
  }
}

void ProofFiles::keep(const p2p::ProofSubject& pair, const p2p::ProofConditions& conditions,
                      const p2p::SelfTestResult& proof) const {
  if (conditions.empty()) return forget(pair);
  const Json transfers = {{"host_reads", json_from(proof.host_reads)},
                          {"host_writes", json_from(proof.host_writes)},
                          {"active_mtu", proof.active_mtu},
                          {"findings", proof.findings},
                          {"remedies", proof.remedies}};
  directory_.make();
  directory_.replace(kPurpose, owner_of(pair), kFormat,
                     {{"made_at", fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(std::time(nullptr)))},
                      {"conditions", conditions},
                      {"proof", transfers}});
}

void ProofFiles::forget(const p2p::ProofSubject& pair) const { directory_.remove(kPurpose, owner_of(pair)); }

}  // namespace nvmf::daemon
