// A thread of execution that runs only when it is resumed, on the caller's thread: the simulation's reactors and hosts.
#pragma once

#include <ucontext.h>

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
  static void enter();

  std::function<void()> body_;
  std::unique_ptr<std::byte[]> stack_;
  ucontext_t own_{};
  ucontext_t resumer_{};
  bool ended_ = false;
  // What AddressSanitizer wants to know of stacks.
  void* fake_stack_ = nullptr;
  const void* resumer_stack_ = nullptr;
  size_t resumer_stack_bytes_ = 0;
};

}  // namespace nvmf::simulation
