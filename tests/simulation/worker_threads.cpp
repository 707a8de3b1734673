// The daemon's worker threads, in virtual time: this program has no others than its own, so their work is done on the
// control thread, a little later. Linked instead of worker_thread.cpp and patient_work.cpp of target/daemon.
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "target/daemon/patient_work.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

using boost::asio::post;
using boost::asio::use_awaitable;

boost::asio::awaitable<void> WorkerThread::run(std::function<void()> work) {
  co_await post(use_awaitable);
  work();
  co_await post(use_awaitable);
}

struct PatientWork::Gate {};
struct PatientWork::Job {};

PatientWork::PatientWork(boost::asio::io_context& io) : io_(io) {}

PatientWork::~PatientWork() = default;

boost::asio::awaitable<bool> PatientWork::run(std::function<void()> work, std::chrono::milliseconds,
                                              std::function<void()>) {
  co_await post(use_awaitable);
  work();
  co_await post(use_awaitable);
  co_return true;
}

}  // namespace nvmf::daemon
