#include "target/backend/nvme_admin.h"

#include <poll.h>

#include <cerrno>

#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;

namespace {

struct Question : SmartQuestion {
  Question() {
    answered = [](SmartQuestion& question, int outcome) {
      auto& self = static_cast<Question&>(question);
      self.result = outcome;
      ++self.times;
    };
  }
  int result = 1;
  int times = 0;
};

void wait_for_answer(NvmeAdminRing& ring, const Question& question) {
  while (question.times == 0) {
    pollfd entry{ring.event_fd(), POLLIN, 0};
    REQUIRE(poll(&entry, 1, 10'000) == 1);
    ring.receive();
  }
}

}  // namespace

TEST_SUITE_BEGIN("admin commands" * doctest::skip(without_io_uring()));

TEST_CASE("A question to what is no SSD is answered with an error, once, and others can be asked") {
  NvmeAdminRing ring;
  const TemporaryFile file(4096);
  const Descriptor descriptor = open_file(file.path(), O_RDONLY);
  Question first;
  Question second;
  ring.receive();
  REQUIRE(ring.ask(descriptor.get(), first));
  REQUIRE(ring.ask(descriptor.get(), second));
  wait_for_answer(ring, first);
  wait_for_answer(ring, second);
  ring.receive();
  for (const Question* question : {&first, &second}) {
    CHECK(question->times == 1);
    CHECK(question->result < 0);
  }
}

TEST_CASE("More questions than the ring has entries are all answered") {
  NvmeAdminRing ring;
  const TemporaryFile file(4096);
  const Descriptor descriptor = open_file(file.path(), O_RDONLY);
  std::vector<Question> questions(200);
  for (Question& question : questions) REQUIRE(ring.ask(descriptor.get(), question));
  for (const Question& question : questions) wait_for_answer(ring, question);
  for (const Question& question : questions) CHECK(question.times == 1);
}

TEST_SUITE_END();
