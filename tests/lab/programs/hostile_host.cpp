// A host that breaks the rules: connects to a target over RDMA, sends what no driver would, and checks the answers.
//   hostile_host abort|commands|fused|handshake|stall ADDRESS NQN
//   hostile_host garbage ADDRESS NQN SEED COUNT
// Exit status: 0 every answer was the expected one, 1 some was not, 2 wrong usage.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/lab/programs/hostile.h"

namespace {

constexpr int kExitUsage = 2;

unsigned attack(const std::string& how, const nvmf::lab::Where& where, char** more) {
  if (how == "abort") return nvmf::lab::attack_with_abort(where);
  if (how == "handshake") return nvmf::lab::attack_handshake(where);
  if (how == "commands") return nvmf::lab::attack_commands(where);
  if (how == "fused") return nvmf::lab::attack_with_fused(where);
  if (how == "stall") return nvmf::lab::attack_by_stalling(where);
  return nvmf::lab::attack_garbage(where, std::stoull(more[0]), static_cast<unsigned>(std::stoul(more[1])));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  const std::string all[] = {"abort", "commands", "fused", "garbage", "handshake", "stall"};
  const bool known = std::find(std::begin(all), std::end(all), how) != std::end(all);
  if (!known || argc != (how == "garbage" ? 6 : 4)) {
    std::cerr << "usage: hostile_host abort|commands|fused|garbage|handshake|stall ADDRESS NQN [SEED COUNT]\n";
    return kExitUsage;
  }
  try {
    const unsigned failed = attack(how, {{argv[2]}, argv[3]}, argv + 4);
    std::cout << failed << " expectations failed\n";
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cout << "FAIL " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
