// What identifiers of the config were served from is known after a restart.
#include "target/daemon/served_storage_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

using test::StateScratch;

config::Namespace space(uint8_t uuid, uint8_t nguid = 0) {
  config::Namespace wanted;
  if (uuid != 0) wanted.uuid = config::Uuid{uuid};
  if (nguid != 0) wanted.nguid = config::Nguid{nguid};
  return wanted;
}

TEST_CASE("an identifier that was never served, and a namespace without identifiers of the config") {
  const StateScratch scratch;
  const ServedStorageFiles files(scratch.state());
  CHECK(files.served_before(space(1), "disk A").empty());
  files.keep(space(0), "disk A");
  CHECK(files.served_before(space(0), "disk B").empty());
}

TEST_CASE("an identifier that was served from another storage, under another number or in another subsystem, too") {
  const StateScratch scratch;
  ServedStorageFiles(scratch.state()).keep(space(1, 2), "disk A");
  const ServedStorageFiles files(scratch.state());
  CHECK(files.served_before(space(1), "disk A").empty());
  CHECK(files.served_before(space(1), "disk B") == "disk A");
  CHECK(files.served_before(space(3, 2), "disk B") == "disk A");
  files.keep(space(3), "disk B");
  CHECK(files.served_before(space(3, 2), "disk B") == "disk A");  // its UUID's record is right, its NGUID's is not
  CHECK(files.served_before(space(4), "disk B").empty());
  CHECK(files.served_before(space(1), "").empty());  // memory: its data is new each time
  files.keep(space(1), "disk B");
  CHECK(files.served_before(space(1), "disk B").empty());
}

TEST_CASE("a record that cannot be read refuses the storage, and says which file it is") {
  const StateScratch scratch;
  const ServedStorageFiles files(scratch.state());
  files.keep(space(1), "disk A");
  const std::string path = files.paths_of(space(1)).front();
  std::ofstream(path) << "no JSON";
  std::string message;
  try {
    files.served_before(space(1), "disk A");
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  CHECK(message.find(path) != std::string::npos);
}

TEST_CASE("the identity of a file is its inode, not its name") {
  const Scratch scratch;
  const std::string image = scratch.path() + "/image";
  const backend::DeviceSpec spec{.kind = backend::DeviceKind::File, .path = image};
  std::ofstream(image) << "data";
  std::ofstream(scratch.path() + "/copy") << "data";
  const std::string before = identity_of(spec, {});
  CHECK(identity_of(spec, {}) == before);
  std::filesystem::rename(scratch.path() + "/copy", image);
  CHECK(identity_of(spec, {}) != before);
}

TEST_CASE("the identity of a disk is its worldwide name, else the serial number of the SSD, else the path") {
  const backend::DeviceSpec spec{.kind = backend::DeviceKind::Nvme, .path = "/dev/ng0n1"};
  backend::DeviceInfo info;
  info.path = "/dev/ng0n1";
  info.storage = "eui.0025385b21404321";
  info.serial = "S1";
  CHECK(identity_of(spec, info) == "eui.0025385b21404321");
  info.storage = "/dev/ng0n1";
  CHECK(identity_of(spec, info) == "the SSD with serial number S1");
  info.serial.clear();
  CHECK(identity_of(spec, info) == "the device at path /dev/ng0n1");
}

TEST_CASE("the identity of a loop device is that of the file behind it") {
  const Scratch scratch;
  const std::string image = scratch.path() + "/image";
  std::ofstream(image) << "data";
  const backend::DeviceSpec spec{.kind = backend::DeviceKind::Block, .path = "/dev/loop0"};
  backend::DeviceInfo info;
  info.path = "/dev/loop0";
  info.storage = image;
  CHECK(identity_of(spec, info) == identity_of({.kind = backend::DeviceKind::File, .path = image}, {}));
}

TEST_CASE(
    "a partition whose record is a path, by a former version, is served; a record of the path by this one is not") {
  const StateScratch scratch;
  const ServedStorageFiles files(scratch.state());
  const backend::DeviceSpec spec{.kind = backend::DeviceKind::Block, .path = "/dev/sda1"};
  backend::DeviceInfo info;
  info.path = "/dev/sda1";
  info.storage = "naa.1, partition 1 from sector 8";
  const std::string identity = identity_of(spec, info);
  files.keep(space(1), "/dev/sda1");
  CHECK(files.served_before(space(1), identity, former_identities_of(info)).empty());
  files.keep(space(1), identity);
  CHECK(files.served_before(space(1), "/dev/sda1") == identity);

  backend::DeviceInfo nameless = info;
  nameless.storage = nameless.path;
  files.keep(space(2), identity_of(spec, nameless));
  CHECK(files.served_before(space(2), identity, former_identities_of(info)) == "the device at path /dev/sda1");
}

}  // namespace
}  // namespace nvmf::daemon
