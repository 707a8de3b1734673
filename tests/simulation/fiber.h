// A thread of execution that runs only when it is resumed, on the caller's thread: the simulation's reactors and hosts.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <functional>
#include <memory>

namespace nvmf::simulation {

class Fiber {
 public:
  // `body` runs from the first resume() on. What it throws must not leave it. A fiber that is destroyed before its end
  // is forgotten as it stands: what lies on its stack is not destroyed.
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Until it yields or ends.
  void resume();
  // From inside a fiber: back to who resumed it.
  static void yield();
  // Null outside.
  static Fiber* current();

  bool has_ended() const { return ended_; }

 private:
  // Not swapcontext(3), which asks the kernel for the signal mask at each switch.
  using Context = boost::context::detail::fcontext_t;

  static void enter(boost::context::detail::transfer_t from);

  std::function<void()> body_;
  std::unique_ptr<std::byte[]> stack_;
  Context own_;                // where it goes on, while it does not run
  Context resumer_ = nullptr;  // where its resumer does, while it runs
  bool ended_ = false;
  // What AddressSanitizer wants to know of stacks.
  void* fake_stack_ = nullptr;
  const void* resumer_stack_ = nullptr;
  size_t resumer_stack_bytes_ = 0;
};

}  // namespace nvmf::simulation
