#include "target/daemon/state_files_worker.h"

#include <utility>

namespace nvmf::daemon {

StateFilesWorker::Hangs::Hangs()
    : std::runtime_error(
          "the state directory (\"state_dir\") does not answer: look after its file system; see the "
          "kernel log (dmesg)") {}

boost::asio::awaitable<void> StateFilesWorker::run(std::function<void()> work) {
  if (hangs_) throw Hangs();
  std::function<void()> late = [this] {
    hangs_ = false;
    if (on_late) on_late();
  };
  const bool is_done = co_await work_.run(std::move(work), patience_, std::move(late));
  if (is_done) co_return;
  hangs_ = true;
  throw Hangs();
}

}  // namespace nvmf::daemon
