// The controller memory buffer of a model SSD. The functions of p2p/ that find, register and prove peer memory come to
// these: model_cmb.cpp is linked instead of p2p/cmb.cpp, p2p/self_test.cpp and p2p/witness.cpp.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/rnic/fabric.h"
#include "tests/rnic/memory.h"

namespace nvmf::simulation {

class ModelCmb {
 public:
  // One at a time has the address. `bytes`: whole pages. An RNIC that pins dma-bufs reaches it when `can_be_pinned`.
  ModelCmb(rnic::Fabric& fabric, std::string bdf, size_t bytes, bool can_be_pinned);
  ~ModelCmb();
  ModelCmb(const ModelCmb&) = delete;
  ModelCmb& operator=(const ModelCmb&) = delete;

  // Null: no SSD there has a CMB.
  static ModelCmb* at(const std::string& bdf);

  std::byte* address() const { return address_; }
  size_t length_bytes() const { return length_bytes_; }
  int descriptor() const { return descriptor_; }
  // The next self-test of any CMB cannot run, as where the port is down.
  static void fail_next_self_test();
  // No transfer between this device and the CMB is proved.
  void put_out_of_reach(std::string device) { out_of_reach_ = std::move(device); }
  bool is_out_of_reach(const std::string& device) const { return device == out_of_reach_; }
  // What is proved of other SSDs: both directions at first.
  void set_consumers(bool host_reads, bool host_writes) {
    consumers_read_ = host_reads;
    consumers_write_ = host_writes;
  }
  bool consumers_read() const { return consumers_read_; }
  bool consumers_write() const { return consumers_write_; }
  // The SSD takes it away: no region of it moves data any more. What is registered from then on is of the next one.
  void revoke();

 private:
  void lend();

  rnic::Fabric& fabric_;
  const std::string bdf_;
  const size_t length_bytes_;
  const bool can_be_pinned_;
  std::unique_ptr<std::byte[]> memory_;
  std::byte* address_;
  std::string out_of_reach_;
  bool consumers_read_ = true;
  bool consumers_write_ = true;
  int descriptor_ = 0;
  std::unique_ptr<rnic::DmaBuf> lent_;
};

}  // namespace nvmf::simulation
