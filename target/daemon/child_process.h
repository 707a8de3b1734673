// Runs another program to its end. Blocks: not on the control thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace nvmf::daemon {

struct ChildEnd {
  int exit_status = 0;  // 128 and the signal, when a signal ended it
  std::string output;   // standard output, at most kMostOutput of it
  std::string errors;   // standard error, at most as much
};

inline constexpr size_t kMostOutputBytes = 1 << 20;

// `command`: the path of the program, and its arguments. Standard input is empty; the child has no other descriptor of
// this process, and signals as after exec. Throws std::system_error when it cannot be started, std::runtime_error when
// it has not ended after `timeout`: then it is killed.
ChildEnd run_program(const std::vector<std::string>& command, std::chrono::milliseconds timeout);

}  // namespace nvmf::daemon
