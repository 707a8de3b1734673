// The controller memory buffers in use: mapped once per SSD, tested once per pair of SSD and RNIC, registered with the
// RNIC, and divided among the poll groups. Control thread. A CMB is divided when the first RNICs have passed the
// self-test: into equal shares, one for each of them and one for each that is expected. An RNIC that appears later is
// tested in a free share and gets it; one that disappears leaves its share free. Where none is free the CMB is divided
// anew, while commands use it. A part of each CMB belongs to no share: there the self-test is repeated while commands
// use the shares, on demand, or for hosts that connect at a path MTU that was not tried before, because a port's MTU
// was raised or the port was down; and commands find memory there while shares become smaller.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/self_test.h"
#include "p2p/witness.h"
#include "target/core/datapath/buffer_pool.h"
#include "target/daemon/proof_files.h"
#include "target/daemon/worker_thread.h"
#include "transport/rdma/rnic.h"

namespace nvmf::daemon {

class PeerMemories {
 public:
  // `rnics` share each CMB; every poll group of an RNIC has an equal part of the RNIC's share. `proofs`: where proofs
  // are kept, so that the self-test need not be repeated after a restart; none: it is.
  PeerMemories(const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, uint32_t max_transfer_bytes,
               std::optional<ProofFiles> proofs = std::nullopt);

  // Whether commands that use this RNIC's pools now end soon; false: not before a device that hangs answers.
  std::function<boost::asio::awaitable<bool>(const rdma::Rnic& rnic)> is_left_soon;
  // The pools of this RNIC in some CMB are others now: its poll groups are to use them. Over when nothing uses the
  // former ones any more.
  std::function<boost::asio::awaitable<void>(const rdma::Rnic& rnic)> on_pools_changed;

  // The number of RNICs that ports still wait for: as many shares are left free.
  void expect_rnics(size_t count) { expected_rnics_ = count; }
  // More RNICs have appeared: they are tested with every CMB that is prepared, and get their shares. Logs the findings.
  // No RNIC may be removed meanwhile.
  boost::asio::awaitable<void> add(std::vector<rdma::Rnic*> rnics);
  // The RNIC has disappeared, and its poll groups are no longer polled.
  void remove(const rdma::Rnic& rnic);
  // Whether hosts have connected to this RNIC at a larger path MTU than any that was tried with some CMB.
  bool has_untried_mtu(const rdma::Rnic& rnic) const;
  // Repeats the self-test of this RNIC with these CMBs. Logs the findings. Commands may use its shares meanwhile; no
  // RNIC may be removed.
  boost::asio::awaitable<void> try_again(const rdma::Rnic& rnic);
  // The same because the operator asks for it, whatever was tried: with the CMB of the SSD at `bdf`, or with all of
  // them (empty). A proof of an earlier start is not taken over. False: no port of the RNIC is up, so the former
  // results stand, and findings say why.
  boost::asio::awaitable<bool> prove_again(const rdma::Rnic& rnic, std::string bdf);

  // Maps the CMB of the SSD at `bdf`, and runs the self-test with every RNIC, in which the SSD takes part where one of
  // its namespaces can be opened. Once per SSD; later calls return the first result, unless the CMB could not be mapped
  // then. Logs the findings. False, with the reason in failure(): no CMB can be used. The self-test runs on a thread of
  // its own; the other functions see its results only when it has ended. One call at a time; no RNIC may be removed
  // meanwhile.
  boost::asio::awaitable<bool> prepare(std::string bdf);
  // What the SSD at `consumer` does right with the CMB of the SSD at `bdf`, which serves() some RNIC. Logs the
  // findings. Commands may use the CMB meanwhile; no RNIC may be removed.
  boost::asio::awaitable<p2p::ConsumerProof> prove_consumer(std::string bdf, std::string consumer);
  // The SSD was unplugged: no namespace gets memory of its CMB any more. False when it was not prepared.
  bool retire(const std::string& bdf);
  // After retire(), when no namespace uses memory of its CMB: lets go of it. When the SSD is back it is prepared anew.
  void forget(const std::string& bdf) { ssds_.erase(bdf); }
  const std::string& failure(const std::string& bdf) const;

  // Whether data may move between that SSD's CMB and the RNIC: something was proved, and the RNIC has its share.
  bool serves(const std::string& bdf, const rdma::Rnic& rnic) const;
  // The proof; null when the SSD was not prepared.
  const p2p::SelfTestResult* proof(const std::string& bdf, const rdma::Rnic& rnic) const;
  // This group's pool in that SSD's CMB; null when nothing was proved.
  core::BufferPool* pool(const std::string& bdf, const rdma::PollGroup& group) const;

  // All prepared SSDs, by PCI address, for reports.
  struct Pair {
    const rdma::Rnic* rnic = nullptr;
    const p2p::SelfTestResult* proof = nullptr;
    std::vector<const core::BufferPool*> pools{};  // by reactor; empty when nothing was proved
  };
  struct Prepared {
    std::string bdf;
    std::string failure;  // empty: the CMB can be used
    size_t cmb_bytes = 0;
    std::vector<Pair> pairs{};
  };
  std::vector<Prepared> prepared() const;

 private:
  using Pools = std::vector<std::unique_ptr<core::BufferPool>>;

  struct OnRnic {
    const rdma::Rnic* rnic = nullptr;
    p2p::SelfTestResult proof{};
    uint32_t tried_for_mtu = 0;  // the largest path MTU that hosts had when the self-test began, bytes
    std::optional<p2p::CmbRegion> region{};
    Pools pools{};  // of its I/O groups; empty: it has no share
  };
  struct Ssd {
    std::optional<p2p::CmbMapping> mapping;
    std::string failure;
    p2p::CmbRange proving_ground;           // in no share; length 0: none
    std::list<OnRnic> on_rnic;              // in the order in which they were tested
    std::vector<const rdma::Rnic*> shares;  // the owner of each share; null: free
  };

  // Whether a proof of an earlier start may be taken over.
  enum class Earlier : uint8_t { TakenOver, Ignored };

  // For a CMB that is mapped. `range`: the part that the self-test overwrites; length 0: the whole CMB. A self-test
  // that cannot be made, for the RNIC has gone, has proved nothing with this RNIC.
  boost::asio::awaitable<void> prove(Ssd& ssd, const rdma::Rnic& rnic, p2p::CmbRange range,
                                     Earlier earlier = Earlier::TakenOver);
  // Runs on the worker thread.
  p2p::SelfTestResult examine(const rdma::Rnic& rnic, const Ssd& ssd, p2p::CmbRange range, Earlier earlier) const;
  // Of a daemon before this one, under the same conditions; none: the self-test must be made.
  std::optional<p2p::SelfTestResult> take_over(const p2p::ProofSubject& pair, const p2p::ProofConditions& conditions,
                                               const rdma::Rnic& rnic, const Ssd& ssd,
                                               const p2p::SelfTestOptions& options) const;
  void keep(const p2p::ProofSubject& pair, const p2p::ProofConditions& conditions,
            const p2p::SelfTestResult& proof) const;
  // What is known of that RNIC; one that knows nothing where there is none yet.
  static OnRnic& on_rnic(Ssd& ssd, const rdma::Rnic& rnic);
  static bool has_untried_mtu(const Ssd& ssd, const rdma::Rnic& rnic);
  // Where the CMB leaves room for it. `unless_possible`: the finding when it leaves none.
  boost::asio::awaitable<void> try_again(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier,
                                         std::string unless_possible);
  void divide(Ssd& ssd);
  static p2p::CmbRange share(const Ssd& ssd, size_t index) { return share_of(ssd, index, ssd.shares.size()); }
  static p2p::CmbRange share_of(const Ssd& ssd, size_t index, size_t shares);
  void give_share(Ssd& ssd, size_t index, const rdma::Rnic& rnic);
  // Equal parts of that range, each of whole pages, for the RNIC's poll groups.
  Pools pools_in(const OnRnic& owner, p2p::CmbRange range) const;
  // Why no share can be made for one more RNIC; empty: it can.
  static std::string obstacle_to_share(const Ssd& ssd, const rdma::Rnic& rnic);
  boost::asio::awaitable<void> add_share_for(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier);
  boost::asio::awaitable<bool> are_shares_left_soon(const Ssd& ssd);
  // One more share, which is free; the others become smaller.
  boost::asio::awaitable<void> divide_anew(Ssd& ssd);
  boost::asio::awaitable<void> move_pools(Ssd& ssd, const rdma::Rnic& rnic, p2p::CmbRange range);
  boost::asio::awaitable<void> add(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier = Earlier::TakenOver);

  const std::vector<std::unique_ptr<rdma::Rnic>>& rnics_;
  uint32_t max_transfer_bytes_;
  const std::optional<ProofFiles> proofs_;
  size_t expected_rnics_ = 0;
  std::map<std::string, Ssd> ssds_;
  std::map<std::string, Ssd> unproved_;  // owned by the worker thread while it has work
  WorkerThread worker_;
};

}  // namespace nvmf::daemon
