// A host that breaks the rules: connects to a target over RDMA, sends what no driver would, and checks the answers.
//   hostile_host ATTACK ADDRESS NQN
//   hostile_host garbage ADDRESS NQN SEED COUNT
//   hostile_host no-answers ADDRESS NQN FROM
//   hostile_host authenticate ADDRESS NQN HOSTNQN KEY_FILE COUNT
// Exit status: 0 every answer was the expected one, 1 some was not, 2 wrong usage.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "tests/lab/programs/hostile.h"

namespace {

constexpr int kExitUsage = 2;

using Attack = unsigned (*)(const nvmf::lab::Where&);

const std::map<std::string, Attack> kAttacks = {
    {"abort", nvmf::lab::attack_with_abort},           {"handshake", nvmf::lab::attack_handshake},
    {"commands", nvmf::lab::attack_commands},          {"fused", nvmf::lab::attack_with_fused},
    {"stall", nvmf::lab::attack_by_stalling},          {"storm", nvmf::lab::attack_by_storm},
    {"late-write", nvmf::lab::attack_with_late_write}, {"use-up", nvmf::lab::attack_by_using_up},
    {"return", nvmf::lab::attack_by_returning},        {"overrun", nvmf::lab::attack_by_overrun},
    {"halves", nvmf::lab::attack_by_halves},           {"flood", nvmf::lab::attack_by_flood},
    {"silence", nvmf::lab::attack_by_silence},         {"nameless", nvmf::lab::attack_without_nqn},
    {"exchanges", nvmf::lab::tell_exchanges},
};

// Those that need more to know: how many arguments there are in all.
const std::map<std::string, int> kArguments = {
    {"garbage", 6}, {"no-answers", 5}, {"authenticate", 7}, {"lost-path", 7}};

unsigned attack(const std::string& how, const nvmf::lab::Where& where, char** more) {
  if (const auto found = kAttacks.find(how); found != kAttacks.end()) return found->second(where);
  if (how == "no-answers") return nvmf::lab::attack_by_taking_no_answers(where, more[0]);
  if (how == "lost-path")
    return nvmf::lab::attack_with_late_write_on_lost_path(where, more[0], more[1], std::string(more[2]) == "all");
  if (how == "authenticate")
    return nvmf::lab::attack_by_authenticating({where.address, where.nqn, more[0]}, more[1],
                                               static_cast<unsigned>(std::stoul(more[2])));
  return nvmf::lab::attack_garbage(where, std::stoull(more[0]), static_cast<unsigned>(std::stoul(more[1])));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  const auto special = kArguments.find(how);
  if ((special == kArguments.end() && !kAttacks.contains(how)) ||
      argc != (special == kArguments.end() ? 4 : special->second)) {
    std::cerr << "usage: hostile_host ATTACK ADDRESS NQN\n"
                 "       hostile_host garbage ADDRESS NQN SEED COUNT\n"
                 "       hostile_host no-answers ADDRESS NQN FROM\n"
                 "       hostile_host authenticate ADDRESS NQN HOSTNQN KEY_FILE COUNT\n"
                 "       hostile_host lost-path ADDRESS NQN OTHER_ADDRESS FOLDER all|quick\n"
                 "attacks:";
    for (const auto& [name, function] : kAttacks) std::cerr << ' ' << name;
    std::cerr << '\n';
    return kExitUsage;
  }
  try {
    const unsigned failed = attack(how, {.address = {argv[2]}, .nqn = argv[3]}, argv + 4);
    std::cout << failed << " expectations failed\n";
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cout << "FAIL " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
