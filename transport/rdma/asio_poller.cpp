#include "transport/rdma/asio_poller.h"

#include <unistd.h>

namespace nvmf::rdma {

AsioPoller::AsioPoller(boost::asio::io_context& context, core::Poller& poller)
    : poller_(poller), events_(context, poller.wake_fd()), later_(context) {
  turn();
}

void AsioPoller::turn() {
  for (int polls = 0; polls < kPollsPerTurn; ++polls) {
    const bool found = poller_.poll() != 0;
    poller_.flush();
    if (!found && poller_.arm()) return wait();
  }
  if (goes_on_) return;
  goes_on_ = true;
  later_.post([this] {
    goes_on_ = false;
    turn();
  });
}

void AsioPoller::wait() {
  if (waiting_ || dead_) return;
  waiting_ = true;
  events_.when_readable([this] {
    waiting_ = false;
    dead_ = !poller_.on_wake();
    turn();
  });
}

AsioMailbox::AsioMailbox(boost::asio::io_context& context, core::Mailbox& mailbox, std::function<void()> after)
    : mailbox_(mailbox), after_(std::move(after)), wake_(context, mailbox.wake_fd()), later_(context) {
  turn();
}

void AsioMailbox::turn() {
  mailbox_.awake();
  if (mailbox_.receive(kMessagesPerTurn) != 0) after_();
  if (!mailbox_.prepare_sleep()) return later_.post([this] { turn(); });
  wake_.when_readable([this] {
    uint64_t count = 0;
    [[maybe_unused]] const auto ignored = read(mailbox_.wake_fd(), &count, sizeof count);
    turn();
  });
}

}  // namespace nvmf::rdma
