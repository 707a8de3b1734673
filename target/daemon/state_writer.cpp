#include "target/daemon/state_writer.h"

#include <boost/asio/awaitable.hpp>
#include <utility>

#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

struct StateWrite {
  std::function<bool()> write;
  std::function<void(bool)> done;
  std::function<void()> after;
};

boost::asio::awaitable<void> run(WorkerThread& thread, StateWrite one) {
  bool written = false;
  const std::function<void()> work = [&] { written = one.write(); };
  co_await thread.run(work);
  one.done(written);
  one.after();
}

}  // namespace

StateWriter write_on(WorkerThread& thread, boost::asio::io_context& io, std::function<void()> after) {
  return [&thread, &io, after = std::move(after)](std::function<bool()> write, std::function<void(bool)> done) {
    spawn(io, run(thread, {std::move(write), std::move(done), after}), "writing state to the state directory");
  };
}

}  // namespace nvmf::daemon
