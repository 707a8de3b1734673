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

using boost::context::detail::jump_fcontext;

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

Fiber::Fiber(std::function<void()> body)
    : body_(std::move(body)),
      stack_(new std::byte[kStackBytes]),
      own_(boost::context::detail::make_fcontext(stack_.get() + kStackBytes, kStackBytes, &Fiber::enter)) {}

Fiber::~Fiber() = default;

Fiber* Fiber::current() { return running; }

void Fiber::enter(boost::context::detail::transfer_t from) {
  Fiber& fiber = *running;
  fiber.resumer_ = from.fctx;
  after_switch(nullptr, &fiber.resumer_stack_, &fiber.resumer_stack_bytes_);
  fiber.body_();
  fiber.ended_ = true;
  before_switch(nullptr, fiber.resumer_stack_, fiber.resumer_stack_bytes_);
  jump_fcontext(fiber.resumer_, nullptr);
}

void Fiber::resume() {
  if (ended_) return;
  Fiber* const outer = std::exchange(running, this);
  void* kept = nullptr;
  before_switch(&kept, stack_.get(), kStackBytes);
  own_ = jump_fcontext(own_, nullptr).fctx;
  after_switch(kept, nullptr, nullptr);
  running = outer;
}

void Fiber::yield() {
  Fiber& fiber = *running;
  before_switch(&fiber.fake_stack_, fiber.resumer_stack_, fiber.resumer_stack_bytes_);
  fiber.resumer_ = jump_fcontext(fiber.resumer_, nullptr).fctx;
  after_switch(fiber.fake_stack_, &fiber.resumer_stack_, &fiber.resumer_stack_bytes_);
}

}  // namespace nvmf::simulation
