#include "target/daemon/changes.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace nvmf::daemon {
namespace {

struct Made {
  void begin(const std::string& name, Changes::WhenClosed when_closed = Changes::WhenClosed::Refuse) {
    const std::function<Changes::Change()> work = [this, name]() -> Changes::Change {
      names.push_back(name);
      co_return ConfigChange{};
    };
    boost::asio::co_spawn(io, changes.alone(work, when_closed),
                          [this](const std::exception_ptr& /*none*/, const ConfigChange& change) {
                            if (change.verdict == ConfigChange::Verdict::Unavailable) ++refused;
                          });
    io.restart();
    io.poll();
  }

  boost::asio::io_context io;
  Changes changes{io, [] {}};
  std::vector<std::string> names;
  unsigned refused = 0;
};

TEST_CASE("changes are closed: one is refused, one that says so waits until they are open again") {
  using Names = std::vector<std::string>;
  Made made;
  made.begin("before");
  made.changes.close();
  made.begin("a reload");
  made.begin("an RNIC that has gone", Changes::WhenClosed::Wait);
  CHECK(made.names == Names{"before"});
  CHECK(made.refused == 1);
  made.changes.reopen();
  made.io.restart();
  made.io.poll();
  CHECK(made.names == Names{"before", "an RNIC that has gone"});
  made.begin("after");
  CHECK(made.names.back() == "after");
  CHECK(made.refused == 1);
}

}  // namespace
}  // namespace nvmf::daemon
