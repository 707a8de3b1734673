// A host whose memory for data is that of a device: the CMB of an SSD of its own, in the place of a GPU's memory.
// Copies between that SSD and namespace 1 of a target: none of the data is in this machine's DRAM.
//   peer_memory_host fetch|store ADDRESS NQN PCI_ADDRESS BLOCK_DEVICE MIB
// PCI_ADDRESS and BLOCK_DEVICE are the SSD's. Exit status: 0 all has been copied, 1 it has not, 2 wrong usage.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>

#include "p2p/cmb.h"
#include "target/nvme/types.h"
#include "tests/lab/programs/host_session.h"

namespace nvmf::lab {
namespace {

constexpr int kExitUsage = 2;
constexpr uint32_t kNsid = 1;
constexpr size_t kPieceBytes = size_t{128} * 1024;  // of one command: less than any target's MDTS

enum class Direction : uint8_t { Fetch, Store };

class BlockDevice {
 public:
  // O_DIRECT: the kernel gives the SSD the bus addresses of the CMB, and copies nothing.
  explicit BlockDevice(const std::string& path) : path_(path), descriptor_(open(path.c_str(), O_RDWR | O_DIRECT)) {
    if (descriptor_ < 0) fail("cannot open");
  }
  ~BlockDevice() { close(descriptor_); }
  BlockDevice(const BlockDevice&) = delete;
  BlockDevice& operator=(const BlockDevice&) = delete;

  void read(std::byte* to, size_t bytes, uint64_t offset) {
    if (pread(descriptor_, to, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes)) fail("cannot read");
  }
  void write(const std::byte* from, size_t bytes, uint64_t offset) {
    if (pwrite(descriptor_, from, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes))
      fail("cannot write");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::system_error(errno, std::generic_category(), std::string(what) + ' ' + path_);
  }

  std::string path_;
  int descriptor_;
};

// Of the namespace, as Identify Namespace says: LBADS of the format in use.
uint32_t block_shift(Session& session) {
  nvme::Sqe identify = command(nvme_admin_identify, kNsid);
  identify.sgl1 = keyed(*session.admin, NVME_IDENTIFY_DATA_SIZE);
  demand(*session.admin, identify, "Identify Namespace");
  nvme_id_ns space;
  std::memcpy(&space, session.admin->data().data(), sizeof space);
  return space.lbaf[space.flbas & 0xf].ds;
}

// The CMB, open to RDMA by whoever has its key, with the protection domain of a queue.
class PeerBuffer {
 public:
  PeerBuffer(HostQueue& queue, const std::string& pci_address)
      : mapping_(p2p::map_cmb(p2p::Sysfs(), pci_address, kPieceBytes)),
        region_(verbs::register_memory(
            queue.domain(), mapping_.address(), kPieceBytes,
            IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_ON_DEMAND)) {
    verbs::prefetch(region_.get());
  }
  std::byte* address() const { return mapping_.address(); }
  nvme::SglDescriptor descriptor() const {
    return lab::descriptor(nvme::SglType::KeyedDataBlock, nvme::SglSubtype::Address,
                           reinterpret_cast<uintptr_t>(mapping_.address()), kPieceBytes, region_->rkey);
  }

 private:
  p2p::CmbMapping mapping_;
  verbs::MemoryRegion region_;
};

void transfer(HostQueue& queue, uint8_t opcode, uint64_t offset, uint32_t shift, const PeerBuffer& buffer) {
  nvme::Sqe sqe = command(opcode, kNsid);
  const uint64_t slba = offset >> shift;
  sqe.cdw10 = static_cast<uint32_t>(slba);
  sqe.cdw11 = static_cast<uint32_t>(slba >> 32);
  sqe.cdw12 = static_cast<uint32_t>(kPieceBytes >> shift) - 1;
  sqe.sgl1 = buffer.descriptor();
  demand(queue, sqe, "a command at byte " + std::to_string(offset));
}

void copy(Direction direction, const Where& where, const std::string& pci_address, BlockDevice& device, size_t bytes) {
  Session session = connect_all(where);
  const uint32_t shift = block_shift(session);
  const PeerBuffer buffer(*session.io, pci_address);
  for (uint64_t offset = 0; offset < bytes; offset += kPieceBytes) {
    if (direction == Direction::Fetch) {
      transfer(*session.io, nvme_cmd_read, offset, shift, buffer);
      device.write(buffer.address(), kPieceBytes, offset);
    } else {
      device.read(buffer.address(), kPieceBytes, offset);
      transfer(*session.io, nvme_cmd_write, offset, shift, buffer);
    }
  }
  std::cout << (direction == Direction::Fetch ? "fetched " : "stored ") << (bytes >> 20) << " MiB\n";
}

}  // namespace
}  // namespace nvmf::lab

int main(int argc, char** argv) {
  using namespace nvmf::lab;
  const std::string how = argc > 1 ? argv[1] : "";
  if (argc != 7 || (how != "fetch" && how != "store")) {
    std::cerr << "usage: peer_memory_host fetch|store ADDRESS NQN PCI_ADDRESS BLOCK_DEVICE MIB\n";
    return kExitUsage;
  }
  try {
    BlockDevice device(argv[5]);
    copy(how == "fetch" ? Direction::Fetch : Direction::Store, {.address = {argv[2]}, .nqn = argv[3]}, argv[4], device,
         std::stoull(argv[6]) << 20);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cout << "FAIL " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
