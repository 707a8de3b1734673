#include "tests/simulation/fiber.h"

#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define NVMF_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NVMF_ADDRESS_SANITIZER
#endif
#endif

#ifdef NVMF_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace nvmf::simulation {
namespace {

constexpr size_t kStackBytes = 256 << 10;

Fiber* running = nullptr;

// `kept`: where the stack that is left keeps its shadow; null when it is left for good.
void before_switch([[maybe_unused]] void** kept, [[maybe_unused]] const void* to, [[maybe_unused]] size_t bytes) {
#ifdef NVMF_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(kept, to, bytes);
#endif
}

void after_switch([[maybe_unused]] void* kept, [[maybe_unused]] const void** from, [[maybe_unused]] size_t* bytes) {
#ifdef NVMF_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(kept, from, bytes);
#endif
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)), stack_(new std::byte[kStackBytes]) {
  getcontext(&own_);
  own_.uc_stack.ss_sp = stack_.get();
  own_.uc_stack.ss_size = kStackBytes;
  own_.uc_link = nullptr;
  makecontext(&own_, &Fiber::enter, 0);
}

Fiber::~Fiber() = default;

Fiber* Fiber::current() { return running; }

void Fiber::enter() {
  Fiber& fiber = *running;
  after_switch(nullptr, &fiber.resumer_stack_, &fiber.resumer_stack_bytes_);
  fiber.body_();
  fiber.ended_ = true;
  before_switch(nullptr, fiber.resumer_stack_, fiber.resumer_stack_bytes_);
  setcontext(&fiber.resumer_);
}

void Fiber::resume() {
  if (ended_) return;
  Fiber* const outer = std::exchange(running, this);
  void* kept = nullptr;
  before_switch(&kept, stack_.get(), kStackBytes);
  swapcontext(&resumer_, &own_);
  after_switch(kept, nullptr, nullptr);
  running = outer;
}

void Fiber::yield() {
  Fiber& fiber = *running;
  before_switch(&fiber.fake_stack_, fiber.resumer_stack_, fiber.resumer_stack_bytes_);
  swapcontext(&fiber.own_, &fiber.resumer_);
  after_switch(fiber.fake_stack_, &fiber.resumer_stack_, &fiber.resumer_stack_bytes_);
}

}  // namespace nvmf::simulation
