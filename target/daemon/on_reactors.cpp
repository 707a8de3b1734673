#include "target/daemon/on_reactors.h"

#include "target/daemon/countdown.h"

namespace nvmf::daemon {

boost::asio::awaitable<void> on_reactors(boost::asio::io_context& io, core::Mailbox& control,
                                         std::vector<core::Reactor*> reactors,
                                         std::function<void(size_t reactor)> work) {
  struct Errand {
    const std::function<void(size_t)>* work;
    size_t reactor;
    core::Mailbox* control;
    Countdown* left;
    core::Message message;
  };
  Countdown left(io, reactors.size());
  std::vector<Errand> errands(reactors.size());
  for (size_t reactor = 0; reactor < reactors.size(); ++reactor) {
    Errand& errand = errands[reactor];
    errand = {&work, reactor, &control, &left, {}};
    errand.message.context = &errand;
    errand.message.deliver = [](core::Message& message) {
      auto& there = *static_cast<Errand*>(message.context);
      (*there.work)(there.reactor);
      message.deliver = [](core::Message& back) { static_cast<Errand*>(back.context)->left->one_less(); };
      there.control->send(message);
    };
    reactors[reactor]->mailbox().send(errand.message);
  }
  co_await left.reached();
}

}  // namespace nvmf::daemon
