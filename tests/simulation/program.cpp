// Runs seeds of the simulation, each in a process of its own, so that one that crashes is told like one that fails.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/rnic/fabric.h"
#include "tests/simulation/simulation.h"

namespace {

using nvmf::simulation::Outcome;

struct Totals {
  uint64_t seeds = 0;
  uint64_t commands = 0;
  uint64_t connections = 0;
};
using ByProfile = std::vector<Totals>;

struct Figures {
  size_t profile;
  Totals totals;
};

struct Arguments {
  uint64_t first = 1;
  std::optional<uint64_t> count;
  std::optional<unsigned> seconds;
  bool verbose = false;
  bool stop = false;  // at the first seed that fails
  nvmf::simulation::Settings settings;
  bool good = true;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--verbose" || word == "--stop" || word == "--long") {
      (word == "--stop" ? arguments.stop : word == "--long" ? arguments.settings.is_long : arguments.verbose) = true;
      continue;
    }
    if (value == nullptr) return arguments.good = false, arguments;
    const uint64_t number = std::strtoull(value, nullptr, 10);
    ++i;
    if (word == "--profile")
      arguments.settings.profile = value;
    else if (word == "--seed")
      arguments.first = number, arguments.count = 1;
    else if (word == "--first")
      arguments.first = number;
    else if (word == "--seeds")
      arguments.count = number;
    else if (word == "--seconds")
      arguments.seconds = static_cast<unsigned>(number);
    else
      arguments.good = false;
  }
  const auto is_wanted = [&](const auto& profile) { return profile.name == arguments.settings.profile; };
  if (!arguments.settings.profile.empty() && std::ranges::none_of(nvmf::rnic::all_profiles(), is_wanted))
    arguments.good = false;
  return arguments;
}

void tell_and_die(int signal) {
  if (const auto* fabric = nvmf::rnic::Fabric::current()) std::fputs(fabric->story().c_str(), stderr);
  std::fprintf(stderr, "signal %d\n", signal);
  std::fflush(stderr);
  std::_Exit(EXIT_FAILURE);
}

void tell(const Outcome& outcome) {
  std::fputs(outcome.story.c_str(), stderr);
  for (const std::string& fault : outcome.faults) std::fprintf(stderr, "%s\n", fault.c_str());
  std::fprintf(stderr, "(%s)\n", outcome.what.c_str());
}

// In the child. Its figures go through the pipe.
[[noreturn]] void run_one(uint64_t seed, const Arguments& arguments, int pipe) {
  for (const int number : {SIGABRT, SIGSEGV, SIGALRM}) signal(number, tell_and_die);
  alarm(60);
  const Outcome outcome = nvmf::simulation::simulate(seed, arguments.settings);
  if (!outcome.faults.empty()) tell(outcome);
  if (arguments.verbose) std::fprintf(stderr, "seed %lu: %s\n", static_cast<unsigned long>(seed), outcome.what.c_str());
  const Figures figures{outcome.profile, {1, outcome.commands, outcome.connections}};
  if (write(pipe, &figures, sizeof figures) != sizeof figures) std::_Exit(EXIT_FAILURE);
  std::_Exit(outcome.faults.empty() ? EXIT_SUCCESS : EXIT_FAILURE);
}

void add(Totals& sum, const Totals& one) {
  sum.seeds += one.seeds;
  sum.commands += one.commands;
  sum.connections += one.connections;
}

std::string command_of(uint64_t seed, const nvmf::simulation::Settings& settings) {
  std::string command = "tests/simulation/run --seed " + std::to_string(seed);
  if (settings.is_long) command += " --long";
  if (!settings.profile.empty()) command += " --profile '" + settings.profile + '\'';
  return command;
}

bool run(uint64_t seed, const Arguments& arguments, ByProfile& totals) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const pid_t child = fork();
  if (child == 0) run_one(seed, arguments, ends[1]);
  close(ends[1]);
  Figures of_seed;
  if (read(ends[0], &of_seed, sizeof of_seed) == sizeof of_seed) add(totals[of_seed.profile], of_seed.totals);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  if (!good)
    std::fprintf(stderr, "seed %lu failed; to see it again: %s\n", static_cast<unsigned long>(seed),
                 command_of(seed, arguments.settings).c_str());
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (!arguments.good) {
    std::fputs(
        "usage: simulate [--seed N | --first N] [--seeds COUNT] [--seconds N] [--profile NAME] [--long] [--stop] "
        "[--verbose]\nprofiles:",
        stderr);
    for (const auto& profile : nvmf::rnic::all_profiles()) std::fprintf(stderr, " \"%s\"", profile.name.c_str());
    std::fputs("\n", stderr);
    return EXIT_FAILURE;
  }
  const auto start = std::chrono::system_clock::now();  // the steady one is the simulation's
  const auto seconds = [&] {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - start).count();
  };
  ByProfile totals(nvmf::rnic::all_profiles().size());
  uint64_t done = 0;
  uint64_t failed = 0;
  const uint64_t most = arguments.count.value_or(arguments.seconds ? UINT64_MAX : 1);
  const auto goes_on = [&] {
    return done < most && (!arguments.seconds || seconds() < *arguments.seconds) && !(arguments.stop && failed != 0);
  };
  constexpr long kTellAfterS = 30;
  for (long told = 0; goes_on(); ++done) {
    if (!run(arguments.first + done, arguments, totals)) ++failed;
    if (seconds() - told < kTellAfterS) continue;
    told = seconds();
    std::fprintf(stderr, "%ld s: %lu seeds so far, %lu failed\n", told, done + 1, failed);
  }
  Totals all;
  for (size_t i = 0; i < totals.size(); ++i) {
    const Totals& one = totals[i];
    add(all, one);
    if (one.seeds != 0)
      std::printf("%s: %lu seeds, %lu connections, %lu commands\n", nvmf::rnic::all_profiles()[i].name.c_str(),
                  one.seeds, one.connections, one.commands);
  }
  std::printf("%lu seeds, %lu connections, %lu commands in %ld s; %lu failed\n", done, all.connections, all.commands,
              static_cast<long>(seconds()), failed);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
