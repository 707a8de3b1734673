#include "transport/rdma/deadline.h"

#include <doctest/doctest.h>

#include <optional>
#include <thread>

using nvmf::rdma::Deadline;
using std::chrono::milliseconds;

namespace {

// Both timers have expired when the first call runs: the second's is in Asio's queue by then.
struct Two {
  boost::asio::io_context io;
  std::optional<Deadline> first{io}, second{io};
  int calls = 0;

  template <class Meanwhile>
  void run(Meanwhile meanwhile) {
    first->set(milliseconds(0), meanwhile);
    second->set(milliseconds(0), [this] { ++calls; });
    std::this_thread::sleep_for(milliseconds(2));
    io.run();
  }
};

}  // namespace

TEST_CASE("A deadline calls once") {
  Two t;
  t.run([] {});
  CHECK(t.calls == 1);
}

TEST_CASE("A deadline whose owner goes in the turn in which it expires calls nobody") {
  Two t;
  t.run([&] { t.second.reset(); });
  CHECK(t.calls == 0);
}

TEST_CASE("A deadline that is cancelled, or set anew, in the turn in which it expires does not make the old call") {
  SUBCASE("cancelled") {
    Two t;
    t.run([&] { t.second->cancel(); });
    CHECK(t.calls == 0);
  }
  SUBCASE("set anew") {
    Two t;
    int anew = 0;
    t.run([&] { t.second->set(milliseconds(1), [&] { ++anew; }); });
    CHECK(t.calls == 0);
    CHECK(anew == 1);
  }
}

TEST_CASE("The call of a deadline may destroy it") {
  boost::asio::io_context io;
  std::optional<Deadline> deadline(io);
  deadline->set(milliseconds(0), [&] { deadline.reset(); });
  io.run();
  CHECK_FALSE(deadline);
}
