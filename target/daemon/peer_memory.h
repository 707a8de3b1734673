// The controller memory buffers in use: mapped once per SSD, proved once per (SSD, RNIC), registered with the RNIC, and
// divided among the poll groups that serve from them. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/self_test.h"
#include "target/core/buffer_pool.h"
#include "target/daemon/worker_thread.h"
#include "transport/rdma/rnic.h"

namespace nvmf::daemon {

class PeerMemories {
 public:
  // `rnics` share each CMB, every poll group of theirs has an equal part.
  PeerMemories(const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, uint32_t max_transfer_bytes);

  // Maps the CMB of the SSD at `bdf`, and has every RNIC prove itself with it. `probe_path`: a generic character device
  // of that SSD, which then bears witness too; empty: none. Once per SSD; later calls return what is there.
  // Logs what was found. False, with the reason in failure(): there is no CMB to use. The proof takes its time on a
  // thread of its own, and only what is proved appears in all else here. One at a time; no RNIC goes meanwhile.
  boost::asio::awaitable<bool> prepare(std::string bdf, std::string probe_path);
  // The SSD was unplugged: its CMB serves no more, also when it comes back. False when it was not prepared.
  bool retire(const std::string& bdf);
  const std::string& failure(const std::string& bdf) const;

  // What was proved; null when the SSD was not prepared.
  const p2p::SelfTestResult* proof(const std::string& bdf, const rdma::Rnic& rnic) const;
  // This group's pool in that SSD's CMB; null where nothing was proved.
  core::BufferPool* pool(const std::string& bdf, const rdma::PollGroup& group) const;

  // Everything that was prepared, by PCI address, for reports.
  struct Pair {
    const rdma::Rnic* rnic = nullptr;
    const p2p::SelfTestResult* proof = nullptr;
    std::vector<const core::BufferPool*> pools{};  // by reactor; none where nothing was proved
  };
  struct Prepared {
    std::string bdf;
    std::string failure;  // empty: there is a CMB
    size_t cmb_bytes = 0;
    std::vector<Pair> pairs{};
  };
  std::vector<Prepared> prepared() const;

 private:
  struct OnRnic {
    p2p::SelfTestResult proof;
    std::optional<p2p::CmbRegion> region;
    std::map<const rdma::PollGroup*, std::unique_ptr<core::BufferPool>> pools;
  };
  struct Ssd {
    std::optional<p2p::CmbMapping> mapping;
    std::string failure;
    std::map<const rdma::Rnic*, OnRnic> on_rnic;
  };

  using Rnics = std::vector<const rdma::Rnic*>;

  // Both on the worker's thread.
  void map_and_prove(const std::string& bdf, const std::string& probe_path, const Rnics& rnics, Ssd& ssd) const;
  OnRnic prove(const rdma::Rnic& rnic, const std::string& probe_path, const p2p::CmbMapping& mapping) const;
  void divide(Ssd& ssd);

  const std::vector<std::unique_ptr<rdma::Rnic>>& rnics_;
  uint32_t max_transfer_bytes_;
  std::map<std::string, Ssd> ssds_;
  std::map<std::string, Ssd> unproved_;  // the worker's while it has work
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
