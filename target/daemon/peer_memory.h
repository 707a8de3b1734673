// The controller memory buffers in use: mapped once per SSD, proved once per (SSD, RNIC), registered with the RNIC, and
// divided among the poll groups that serve from them. Control thread.
//
// A CMB is divided once, when the first RNICs have passed: into equal shares, one for each of them and one for each
// that is expected. An RNIC that comes later proves itself in a share that nobody has; one that goes leaves its share.
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
#include "target/core/datapath/buffer_pool.h"
#include "target/daemon/worker_thread.h"
#include "transport/rdma/rnic.h"

namespace nvmf::daemon {

class PeerMemories {
 public:
  // `rnics` share each CMB, every poll group of theirs has an equal part of its share.
  PeerMemories(const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, uint32_t max_transfer_bytes);

  // RNICs that are not there yet, of ports that wait for them: shares are left for so many.
  void expect_rnics(size_t count) { expected_rnics_ = count; }
  // More RNICs are there: they prove themselves with every CMB that is prepared. Logs what was found.
  // No RNIC goes meanwhile.
  boost::asio::awaitable<void> add(std::vector<rdma::Rnic*> rnics);
  // It is gone, and its poll groups are polled no more.
  void remove(const rdma::Rnic& rnic);

  // Maps the CMB of the SSD at `bdf`, and has every RNIC prove itself with it. `probe_path`: a generic character device
  // of that SSD, which then takes part in the self-test; empty: none. Once per SSD; later calls return what is there.
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
    std::string probe_path;
    std::map<const rdma::Rnic*, OnRnic> on_rnic;
    std::vector<const rdma::Rnic*> shares;  // whose each is; null: nobody's
  };

  // Of a CMB that is mapped. `range`: of it, which the self-test overwrites; length 0: all of it. A self-test that
  // cannot be made, for the RNIC has gone, has proved nothing with this RNIC.
  boost::asio::awaitable<void> prove(Ssd& ssd, const rdma::Rnic& rnic, p2p::CmbRange range);
  // On the worker's thread.
  OnRnic examine(const rdma::Rnic& rnic, const Ssd& ssd, p2p::CmbRange range) const;
  void divide(Ssd& ssd);
  static p2p::CmbRange share(const Ssd& ssd, size_t index);
  void give_share(Ssd& ssd, size_t index, const rdma::Rnic& rnic);
  boost::asio::awaitable<void> add(Ssd& ssd, const rdma::Rnic& rnic);

  const std::vector<std::unique_ptr<rdma::Rnic>>& rnics_;
  uint32_t max_transfer_bytes_;
  size_t expected_rnics_ = 0;
  std::map<std::string, Ssd> ssds_;
  std::map<std::string, Ssd> unproved_;  // the worker's while it has work
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
