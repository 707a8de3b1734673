#include "target/core/reactor/mailbox.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

using namespace nvmf::core;

namespace {

struct Letter {
  Message message;
  std::vector<int>* log = nullptr;
  int name = 0;

  Letter(std::vector<int>& into, int n) : log(&into), name(n) {
    message.context = this;
    message.deliver = [](Message& m) {
      auto& letter = *static_cast<Letter*>(m.context);
      letter.log->push_back(letter.name);
    };
  }
};

bool readable(int fd, int timeout_ms) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, timeout_ms) == 1;
}

void clear(int fd) {
  uint64_t count;
  CHECK(read(fd, &count, sizeof count) == sizeof count);
}

}  // namespace

TEST_CASE("Messages are delivered in the order they were sent") {
  Mailbox mailbox;
  std::vector<int> log;
  std::deque<Letter> letters;
  for (int i = 0; i < 5; ++i) letters.emplace_back(log, i);
  CHECK(mailbox.receive() == 0);
  for (Letter& letter : letters) mailbox.send(letter.message);
  CHECK(mailbox.receive() == 5);
  CHECK(log == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(mailbox.receive() == 0);
}

TEST_CASE("A message may be sent again while it is being delivered") {
  Mailbox mailbox;
  struct Again {
    Message message;
    Mailbox* mailbox;
    int times = 0;
  } again{{}, &mailbox};
  again.message.context = &again;
  again.message.deliver = [](Message& m) {
    auto& self = *static_cast<Again*>(m.context);
    if (++self.times < 3) self.mailbox->send(m);
  };
  mailbox.send(again.message);
  while (mailbox.receive() != 0) {
  }
  CHECK(again.times == 3);
}

TEST_CASE("A sender rings once while the receiver sleeps, and not while it is awake") {
  Mailbox mailbox;
  std::vector<int> log;
  Letter first(log, 1), second(log, 2), third(log, 3);
  mailbox.send(first.message);
  CHECK_FALSE(readable(mailbox.wake_fd(), 0));
  CHECK_FALSE(mailbox.prepare_sleep());  // there is a message
  mailbox.receive();

  CHECK(mailbox.prepare_sleep());
  mailbox.send(second.message);
  mailbox.send(third.message);
  REQUIRE(readable(mailbox.wake_fd(), 0));
  clear(mailbox.wake_fd());
  CHECK_FALSE(readable(mailbox.wake_fd(), 0));
  mailbox.awake();
  CHECK(mailbox.receive() == 2);
}

TEST_CASE("Many senders and a receiver that sleeps in between: no message is lost or late") {
  constexpr int kSenders = 4;
  constexpr int kMessages = 2000;
  Mailbox mailbox;
  struct Counted {
    Message message;
    int* last = nullptr;  // of its sender
    int number = 0;
  };
  int last[kSenders] = {};
  bool in_order = true;
  static bool* order = nullptr;
  order = &in_order;
  std::vector<std::vector<Counted>> sent(kSenders, std::vector<Counted>(kMessages));
  std::vector<std::thread> senders;
  senders.reserve(kSenders);
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kMessages; ++i) {
        Counted& counted = sent[s][i];
        counted.last = &last[s];
        counted.number = i + 1;
        counted.message.context = &counted;
        counted.message.deliver = [](Message& m) {
          auto& self = *static_cast<Counted*>(m.context);
          *order = *order && self.number == *self.last + 1;
          *self.last = self.number;
        };
        mailbox.send(counted.message);
        if (i % 16 == 0) std::this_thread::yield();
      }
    });
  }
  for (int received = 0; received < kSenders * kMessages;) {
    received += static_cast<int>(mailbox.receive());
    if (received == kSenders * kMessages || !mailbox.prepare_sleep()) continue;
    REQUIRE(readable(mailbox.wake_fd(), 10000));
    clear(mailbox.wake_fd());
    mailbox.awake();
  }
  for (std::thread& sender : senders) sender.join();
  CHECK(in_order);
}

TEST_CASE("All that was sent before is delivered, what is behind a delivery's own message too, and each once") {
  struct Letter {
    Mailbox* mailbox;
    int times_again = 0;
    int delivered = 0;
    Message message{};
    void send() {
      mailbox->send(message, *this, [](Letter& letter) {
        ++letter.delivered;
        if (letter.times_again-- > 0) letter.send();
      });
    }
  };
  struct Reader {
    Mailbox* mailbox;
    Message message{};
  };
  Mailbox mailbox;
  Letter taken{&mailbox}, late{&mailbox}, again{&mailbox, 1000};
  Reader reader{&mailbox};
  // `taken` and `again` are behind it in what it takes from the senders, `late` comes after that.
  struct Late {
    Letter* letter;
    Message message{};
  } sends_late{&late};
  mailbox.send(sends_late.message, sends_late, [](Late& sends) { sends.letter->send(); });
  mailbox.send(reader.message, reader, [](Reader& one) { one.mailbox->receive_all(); });
  taken.send();
  again.send();
  CHECK(mailbox.receive(2) == 2);
  CHECK(taken.delivered == 1);
  CHECK(late.delivered == 1);
  CHECK(again.delivered >= 1);
  CHECK(again.delivered <= 2);
}

TEST_CASE("A receiver may bound how many messages it takes at a time: the rest stays, in order, and keeps it awake") {
  struct Letter {
    int number;
    std::vector<int>* read;
    Message message;
  };
  Mailbox mailbox;
  std::vector<int> read;
  Letter letters[5] = {{1, &read, {}}, {2, &read, {}}, {3, &read, {}}, {4, &read, {}}, {5, &read, {}}};
  const auto open = [](Letter& letter) { letter.read->push_back(letter.number); };
  for (int i = 0; i < 4; ++i) mailbox.send(letters[i].message, letters[i], open);
  CHECK(mailbox.receive(3) == 3);
  CHECK(read == std::vector{1, 2, 3});
  CHECK_FALSE(mailbox.prepare_sleep());
  mailbox.send(letters[4].message, letters[4], open);
  CHECK(mailbox.receive() + mailbox.receive() == 2);
  CHECK(read == std::vector{1, 2, 3, 4, 5});
  CHECK(mailbox.prepare_sleep());
}
