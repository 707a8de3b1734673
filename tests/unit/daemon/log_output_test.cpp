// The log does not wait for its reader.
#include "target/daemon/log_output.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

using backend::Descriptor;

struct Pair {
  Descriptor reader;
  Descriptor writer;
};

Pair make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Pair make_sockets() {
  std::array<int, 2> ends{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Pair make_terminal() {
  Descriptor reader(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(reader.is_open());
  REQUIRE(grantpt(reader.get()) == 0);
  REQUIRE(unlockpt(reader.get()) == 0);
  Descriptor writer(open(ptsname(reader.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(writer.is_open());
  termios raw{};
  REQUIRE(tcgetattr(writer.get(), &raw) == 0);
  cfmakeraw(&raw);
  REQUIRE(tcsetattr(writer.get(), TCSANOW, &raw) == 0);
  return {std::move(reader), std::move(writer)};
}

// All that is there.
std::string read_from(const Descriptor& reader) {
  fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t length = 0; (length = read(reader.get(), piece.data(), piece.size())) > 0;)
    text.append(piece.data(), static_cast<size_t>(length));
  return text;
}

// Lines of a length that no buffer is a multiple of.
const std::string kLine = std::string(996, 'x') + '\n';

void check_that_nobody_is_waited_for(const Pair& pair) {
  LogOutput log(pair.writer.get());
  size_t taken = 0;
  while (log.write(kLine)) ++taken;
  CHECK_FALSE(log.write(kLine));
  const std::string text = read_from(pair.reader);
  CHECK(text.size() <= taken * kLine.size());
  REQUIRE(log.write("the next\n"));
  const std::string all = text + read_from(pair.reader);
  CHECK(all.size() == taken * kLine.size() + 9);
  CHECK(all.ends_with("x\nthe next\n"));
}

TEST_CASE("a pipe that nobody reads: lines are dropped, and the next line after that begins a line") {
  check_that_nobody_is_waited_for(make_pipe());
}

TEST_CASE("a socket that nobody reads") { check_that_nobody_is_waited_for(make_sockets()); }

TEST_CASE("a terminal that stands still, in the middle of a line too") {
  check_that_nobody_is_waited_for(make_terminal());
}

TEST_CASE("the reader is gone") {
  std::signal(SIGPIPE, SIG_IGN);
  for (const auto make : {&make_pipe, &make_sockets}) {
    Pair pair = make();
    { const Descriptor gone = std::move(pair.reader); }
    CHECK_FALSE(LogOutput(pair.writer.get()).write(kLine));
  }
  std::signal(SIGPIPE, SIG_DFL);
}

TEST_CASE("a line is longer than what a pipe takes at once") {
  const Pair pair = make_pipe();
  const std::string line = std::string(20'000, 'x') + '\n';
  CHECK(LogOutput(pair.writer.get()).write(line));
  CHECK(read_from(pair.reader) == line);
}

TEST_CASE("journald gets the fields, is not waited for, and may be away") {
  const Scratch scratch;
  const std::string path = scratch.path() + "/socket";
  const Descriptor journal(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const JournalOutput log(path.c_str());
  CHECK_FALSE(log.write({"MESSAGE=x"}));
  REQUIRE(bind(journal.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(log.write({"MESSAGE=x", "PRIORITY=6"}));
  CHECK(read_from(journal) == "MESSAGE=x\nPRIORITY=6\n");
  CHECK(log.write({"MESSAGE=" + std::string(8U << 20U, 'x'), "PRIORITY=2"}));
  const std::string cut = read_from(journal);
  CHECK(cut.starts_with("MESSAGE=xxx"));
  CHECK(cut.ends_with("xxx [cut]\nPRIORITY=2\n"));
  int lines = 0;
  while (log.write({"MESSAGE=x"})) REQUIRE(++lines < 100'000);
}

}  // namespace
}  // namespace nvmf::daemon
