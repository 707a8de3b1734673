#include "transport/rdma/asio_poller.h"

#include <unistd.h>

namespace nvmf::rdma {

AsioPoller::AsioPoller(boost::asio::io_context& context, PollGroup& group)
    : group_(group), events_(context, group.wake_fd()) {
  turn();
}

void AsioPoller::turn() {
  do {
    while (group_.poll() != 0) group_.flush();
    group_.flush();
  } while (!group_.arm());
  if (waiting_) return;
  waiting_ = true;
  events_.when_readable([this] {
    waiting_ = false;
    read_events();
    turn();
  });
}

void AsioPoller::read_events() {
  uint64_t record = 0;
  while (read(group_.wake_fd(), &record, sizeof record) == sizeof record) group_.on_wake(record);
}

AsioMailbox::AsioMailbox(boost::asio::io_context& context, core::Mailbox& mailbox, std::function<void()> after)
    : mailbox_(mailbox), after_(std::move(after)), wake_(context, mailbox.wake_fd()) {
  wait();
}

void AsioMailbox::wait() {
  do {
    mailbox_.awake();
    if (mailbox_.receive() != 0) after_();
  } while (!mailbox_.prepare_sleep());
  wake_.when_readable([this] {
    uint64_t count = 0;
    [[maybe_unused]] const auto ignored = read(mailbox_.wake_fd(), &count, sizeof count);
    wait();
  });
}

}  // namespace nvmf::rdma
