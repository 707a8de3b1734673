// The admin socket takes the place of dead sockets only.
#include "target/daemon/unix_socket.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

namespace fs = std::filesystem;
using Protocol = boost::asio::local::stream_protocol;

struct Place {
  Scratch directory;
  boost::asio::io_context io;
  const std::string path = directory.path() + "/run/admin.sock";

  std::string failure_of_listening(const SocketAccess& access = {}) {
    try {
      UnixSocketFile file(path);
      file.listen(io, access);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return {};
  }
};

TEST_CASE("a file that is no socket stays, and is named") {
  Place place;
  fs::create_directory(place.directory.path() + "/run");
  std::ofstream(place.path) << "a disk image";
  CHECK(place.failure_of_listening().find(place.path + ": the file is not a socket") != std::string::npos);
  CHECK(fs::file_size(place.path) == 12);
}

TEST_CASE("a socket that another process serves stays") {
  Place place;
  UnixSocketFile first(place.path);
  const auto acceptor = first.listen(place.io, {});
  CHECK(place.failure_of_listening().find("another process serves there") != std::string::npos);
  CHECK(fs::is_socket(place.path));
}

TEST_CASE("a dead socket makes way") {
  Place place;
  fs::create_directory(place.directory.path() + "/run");
  { const Protocol::acceptor dead(place.io, Protocol::endpoint(place.path)); }
  REQUIRE(fs::is_socket(place.path));
  CHECK(place.failure_of_listening().empty());
  CHECK_FALSE(fs::exists(place.path));
}

TEST_CASE("a daemon that stops leaves its successor's socket alone") {
  Place place;
  std::optional<UnixSocketFile> before(std::in_place, place.path);
  const auto still_open = before->listen(place.io, {});  // its inode is not free for the successor
  fs::remove(place.path);
  UnixSocketFile after(place.path);
  const auto acceptor = after.listen(place.io, {});
  before.reset();
  CHECK(fs::is_socket(place.path));
}

TEST_CASE("a user, a group or a directory that is not there is named") {
  Place place;
  CHECK(place.failure_of_listening({.owner = "no-such-user"}).find("there is no user \"no-such-user\"") !=
        std::string::npos);
  CHECK(place.failure_of_listening({.group = "no-such-group"}).find("there is no group \"no-such-group\"") !=
        std::string::npos);
  std::ofstream(place.directory.path() + "/file");
  UnixSocketFile below_a_file(place.directory.path() + "/file/admin.sock");
  CHECK_THROWS_AS(below_a_file.listen(place.io, {}), std::system_error);
}

}  // namespace
}  // namespace nvmf::daemon
