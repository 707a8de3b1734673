// Device DAX: what sysfs tells of it, and a file in its place.
#include "target/backend/dax_device.h"

#include <fcntl.h>

#include <cstring>
#include <filesystem>

#include "tests/unit/backend/fake_sysfs.h"
#include "tests/unit/backend/model.h"
#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;

namespace {

constexpr uint64_t kSize = 4 << 20;
constexpr char kRegion[] = "devices/ndbus0/region0";
constexpr char kPersistent[] = "devices/ndbus0/region0/dax0.1/dax0.0";
constexpr char kVolatile[] = "devices/platform/hmem.0/dax1.0";

DaxDevice open_in_file(const TemporaryFile& file, PersistenceDomain domain, uint32_t block_bytes = 512) {
  return DaxDevice({.kind = DeviceKind::Dax, .path = file.path(), .block_bytes = block_bytes},
                   open_file(file.path(), O_RDWR), {.size_bytes = kSize, .domain = domain, .uuid = "u"});
}

}  // namespace

TEST_CASE("persistent memory: its size, its UUID, and what survives a power failure") {
  FakeSysfs sysfs;
  sysfs.file(std::string(kPersistent) + "/size", "536870912");
  sysfs.file("devices/ndbus0/region0/dax0.1/uuid", "0f3e");
  const std::string directory = sysfs.root() + "/" + kPersistent;
  CHECK(dax_facts(directory)->size_bytes == 536870912);
  CHECK(dax_facts(directory)->uuid == "0f3e");
  CHECK(dax_facts(directory)->domain == PersistenceDomain::Unstated);
  sysfs.file(std::string(kRegion) + "/persistence_domain", "memory_controller");
  CHECK(dax_facts(directory)->domain == PersistenceDomain::MemoryController);
  sysfs.file(std::string(kRegion) + "/persistence_domain", "cpu_cache");
  CHECK(dax_facts(directory)->domain == PersistenceDomain::ProcessorCaches);
}

TEST_CASE("memory that is on no nvdimm bus is volatile") {
  FakeSysfs sysfs;
  sysfs.file(std::string(kVolatile) + "/size", "2147483648");
  const auto facts = dax_facts(sysfs.root() + "/" + kVolatile);
  REQUIRE(facts);
  CHECK(facts->size_bytes == 2147483648);
  CHECK(facts->domain == PersistenceDomain::None);
  CHECK_FALSE(dax_facts(sysfs.root() + "/devices/platform"));
  CHECK_FALSE(dax_facts(sysfs.root() + "/devices/none"));
}

TEST_CASE("volatile memory has nothing to flush, persistent memory has") {
  CHECK((persist_for(PersistenceDomain::None) == nullptr));
  Pages pages(4096);
  for (const auto domain :
       {PersistenceDomain::Unstated, PersistenceDomain::MemoryController, PersistenceDomain::ProcessorCaches}) {
    const Persist persist = persist_for(domain);
    REQUIRE((persist != nullptr));
    persist(pages.begin() + 1, 4000);
    CHECK(all_zero(pages.begin(), 4096));
  }
}

TEST_CASE("a path that is no device DAX is refused") {
  TemporaryFile file(kSize);
  for (const std::string& path : {file.path(), std::string("/dev/null"), std::string("/dev/dax77.7")})
    CHECK_THROWS_WITH_AS(open_device({.kind = DeviceKind::Dax, .path = path}), doctest::Contains(path.c_str()),
                         std::exception);
}

TEST_SUITE_BEGIN("dax" * doctest::skip(without_io_uring()));

TEST_CASE("Device DAX: commands against a model, and the data is there for the next one who opens it") {
  for (const uint32_t block_bytes : {512u, 4096u}) {
    TemporaryFile file(kSize);
    {
      DaxDevice device = open_in_file(file, PersistenceDomain::MemoryController, block_bytes);
      CHECK(device.info().block_count == kSize / block_bytes);
      CHECK(device.info().memory.size() == kSize);
      CHECK_FALSE(device.info().volatile_write_cache);
      CHECK(device.info().notes.empty());
      CHECK(device.info().storage == "persistent memory with UUID u");
      Bench bench(device);
      check_reads_back(bench, 0, 1, 1);
      check_reads_back(bench, kSize / block_bytes - 128, 128, 2);
      CHECK(bench.write_zeroes(0, 1, true).ok());
      CHECK(reads_zero(bench, 0, 1));
      CHECK(bench.flush().ok());
    }
    DaxDevice device = open_in_file(file, PersistenceDomain::MemoryController, block_bytes);
    Bench bench(device);
    Pages data(128 * block_bytes), back(128 * block_bytes);
    data.fill(2);
    CHECK(bench.read(kSize / block_bytes - 128, 128, back.begin()).ok());
    CHECK(std::memcmp(data.begin(), back.begin(), data.size()) == 0);
  }
}

TEST_CASE("Device DAX: one daemon at a time; volatile memory says that it is") {
  TemporaryFile file(kSize);
  const DaxDevice device = open_in_file(file, PersistenceDomain::None);
  CHECK(device.info().storage.starts_with("volatile memory " + file.path() + ", boot "));
  CHECK(device.info().description.find("volatile memory") != std::string::npos);
  REQUIRE(device.info().notes.size() == 1);
  CHECK_THROWS_WITH(open_in_file(file, PersistenceDomain::None), doctest::Contains("in use"));
  CHECK_THROWS_WITH(open_in_file(TemporaryFile(kSize), PersistenceDomain::None, 1024),
                    doctest::Contains("512 or 4096"));
}
