// The notifications on a service manager's socket: sd_notify(3).
#include "target/daemon/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

class Socket {
 public:
  Socket() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path().c_str(), 1);
  }
  ~Socket() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(socket_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  std::string hear() {
    char text[512];
    const ssize_t length = recv(socket_, text, sizeof text, MSG_DONTWAIT);
    return length < 0 ? std::string() : std::string(text, static_cast<size_t>(length));
  }

 private:
  std::string path() const { return scratch_.path() + "/notify"; }

  int socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Scratch scratch_;
};

TEST_CASE("each state is told with the line that its status shows") {
  Socket manager;
  service_manager::ready("serving 2 namespaces");
  CHECK(manager.hear() == "READY=1\nSTATUS=serving 2 namespaces");
  service_manager::reloading();
  const std::string reloading = manager.hear();
  CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(reloading.ends_with("\nSTATUS=reloading"));
  service_manager::upgrading("making way");
  const std::string upgrading = manager.hear();
  CHECK(upgrading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(upgrading.ends_with("\nSTATUS=making way"));
  service_manager::stopping("disconnecting hosts", std::chrono::minutes(1));
  CHECK(manager.hear() == "STOPPING=1\nSTATUS=disconnecting hosts\nEXTEND_TIMEOUT_USEC=65000000");
  service_manager::alive();
  CHECK(manager.hear() == "WATCHDOG=1");
}

TEST_CASE("nobody listens: nothing happens, and no watchdog is kept") {
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  service_manager::ready("serving");
  CHECK_FALSE(service_manager::watchdog_timeout().has_value());
}

TEST_CASE("the watchdog's time-out is the service manager's, and of this process only") {
  Socket manager;
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  CHECK(service_manager::watchdog_timeout() == std::chrono::seconds(30));
  setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(service_manager::watchdog_timeout().has_value());
}

}  // namespace
}  // namespace nvmf::daemon
