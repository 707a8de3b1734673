#include "target/daemon/log_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "config/characters.h"

namespace nvmf::daemon {
namespace {

// Of one field; what a socket has room for is a multiple.
constexpr size_t kMostBytes = 32768;

void cut(std::string& text) {
  text.resize(config::beginning_of(text, kMostBytes).size());
  text += " [cut]";
}

}  // namespace

// A terminal that can be written to may wait in the middle of what it is given.
LogOutput::LogOutput(int descriptor) : descriptor_(descriptor) {
  if (isatty(descriptor) == 0) return;
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  terminal_ = backend::Descriptor(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (terminal_.is_open()) descriptor_ = terminal_.get();
}

// A pipe that can be written to takes PIPE_BUF bytes at once. The file is not set to O_NONBLOCK: it may be shared with
// other processes.
size_t LogOutput::write_piece(std::string_view piece) const {
  ssize_t taken = send(descriptor_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (taken < 0 && errno == ENOTSOCK) {
    pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return 0;
    taken = ::write(descriptor_, piece.data(), std::min<size_t>(piece.size(), PIPE_BUF));
  }
  return taken < 0 ? 0 : static_cast<size_t>(taken);
}

void LogOutput::take_from(std::string& text) const {
  while (!text.empty()) {
    const size_t taken = write_piece(text);
    if (taken == 0) return;
    text.erase(0, taken);
  }
}

bool LogOutput::write(std::string_view line) {
  take_from(rest_);
  if (!rest_.empty()) return false;
  rest_ = line;
  take_from(rest_);
  if (rest_.size() < line.size()) return true;
  rest_.clear();
  return line.empty();
}

JournalOutput::JournalOutput(const char* socket)
    : socket_(socket), file_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

bool JournalOutput::write(std::vector<std::string> fields) const {
  if (send(fields)) return true;
  if (errno != EMSGSIZE) return false;
  cut(*std::ranges::max_element(fields, {}, &std::string::size));
  return send(fields);
}

bool JournalOutput::send(const std::vector<std::string>& fields) const {
  std::string text;
  for (const std::string& field : fields) text += field + '\n';
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_.c_str(), sizeof address.sun_path - 1);
  return sendto(file_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0;
}

}  // namespace nvmf::daemon
