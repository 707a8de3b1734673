// State is written on another thread, in order, while the control thread goes on.
#include "target/daemon/state_writer.h"

#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <string>
#include <vector>

namespace nvmf::daemon {
namespace {

using Words = std::vector<std::string>;

struct Writing {
  void write(const std::string& name, bool written = true) {
    const auto work = [this, name, written] {
      go_on.wait();
      done_there.push_back(name);
      return written;
    };
    writer(work, [this, name](bool result) { said.push_back(name + (result ? " written" : " not written")); });
  }

  boost::asio::io_context io;
  std::promise<void> answer;
  std::shared_future<void> go_on{answer.get_future()};
  Words done_there;  // the writing thread's, until it has ended
  Words said;
  WorkerThread thread;
  StateWriter writer = write_on(thread, io, [this] { said.emplace_back("turned"); });
};

TEST_CASE("the disk does not answer: the control thread goes on, and hears of each write in its order afterwards") {
  Writing test;
  test.write("first");
  test.write("second", false);
  boost::asio::post(test.io, [&] {
    CHECK(test.said.empty());
    test.answer.set_value();
  });
  test.io.run();
  CHECK(test.done_there == Words{"first", "second"});
  CHECK(test.said == Words{"first written", "turned", "second not written", "turned"});
}

}  // namespace
}  // namespace nvmf::daemon
