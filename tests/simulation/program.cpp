// Runs seeds of the simulation, each in a process of its own, so that one that crashes is told like one that fails.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
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
  uint64_t count = 100;
  uint64_t seconds = 0;  // 0: until the count is done
  bool verbose = false;
  bool stop = false;
  nvmf::simulation::Settings settings;
};

std::string fault_of_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc() && end == text.data() + text.size() && number != 0;
  return good ? "" : "\"" + text + "\" is no whole number from 1 to " + std::to_string(UINT64_MAX);
}

// Ends the program where the arguments are wrong, or ask for help.
Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs seeds of the simulation: by default the fixed ones, 1 to 100."};
  std::vector<std::string> profiles;
  for (const auto& profile : nvmf::rnic::all_profiles()) profiles.push_back(profile.name);
  const CLI::Validator number(fault_of_number, "");
  CLI::Option* const seed = app.add_option("--seed", arguments.first, "this one alone")->check(number);
  app.add_option("--first", arguments.first, "the first one")->check(number)->excludes(seed)->capture_default_str();
  CLI::Option* const count =
      app.add_option("--seeds", arguments.count, "how many")->check(number)->excludes(seed)->capture_default_str();
  CLI::Option* const time =
      app.add_option("--for", arguments.seconds, "as many as there is time for: seconds, or with m or h, such as 8h")
          ->transform(CLI::AsNumberWithUnit(std::map<std::string, uint64_t>{{"s", 1}, {"m", 60}, {"h", 3600}}))
          ->check(number)
          ->excludes(seed);
  app.add_option("--profile", arguments.settings.profile, "of the model RNIC, instead of the one that the seed chooses")
      ->check(CLI::IsMember(profiles));
  app.add_flag("--long", arguments.settings.is_long, "more connections and commands of each seed");
  app.add_flag("--stop", arguments.stop, "at the first seed that fails");
  app.add_flag("--verbose", arguments.verbose, "tell what each seed plays");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  if (*seed) arguments.count = 1;
  const uint64_t most = UINT64_MAX - arguments.first + 1;
  if (*time && !*count) arguments.count = most;
  if (arguments.count > most)
    std::exit(
        app.exit(CLI::ValidationError("--seeds", "the last seed would be more than " + std::to_string(UINT64_MAX))));
  return arguments;
}

constexpr unsigned kSeedS = 60;  // a long seed on a busy machine takes a few

// The story may not be told where the heap is broken: the next alarm is the end then.
void tell_and_die(int number) {
  signal(SIGALRM, SIG_DFL);
  alarm(10);
  if (const auto* fabric = nvmf::rnic::Fabric::current()) std::fputs(fabric->story().c_str(), stderr);
  std::fprintf(stderr, "signal %d\n", number);
  std::fflush(stderr);
  std::_Exit(EXIT_FAILURE);
}

void tell(const Outcome& outcome) {
  std::fputs(outcome.story.c_str(), stderr);
  for (const std::string& fault : outcome.faults) std::fprintf(stderr, "%s\n", fault.c_str());
}

// In the child. Its figures go through the pipe.
[[noreturn]] void run_one(uint64_t seed, const Arguments& arguments, int pipe) {
  struct sigaction action {};
  action.sa_handler = tell_and_die;
  action.sa_flags = static_cast<int>(SA_NODEFER | SA_RESETHAND);
  for (const int number : {SIGABRT, SIGSEGV, SIGALRM}) sigaction(number, &action, nullptr);
  alarm(kSeedS);
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
  if (child < 0) std::perror("a seed needs a process of its own");
  Figures of_seed;
  const bool has_run = read(ends[0], &of_seed, sizeof of_seed) == sizeof of_seed;
  if (has_run) add(totals[of_seed.profile], of_seed.totals);
  close(ends[0]);
  int status = 0;
  const bool has_ended = child > 0 && waitpid(child, &status, 0) == child;
  const bool good = has_run && has_ended && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  if (!good)
    std::fprintf(stderr, "seed %lu failed; to see it again: %s\n", static_cast<unsigned long>(seed),
                 command_of(seed, arguments.settings).c_str());
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const auto start = std::chrono::system_clock::now();  // the steady one is the simulation's
  const auto seconds = [&] {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - start).count();
  };
  ByProfile totals(nvmf::rnic::all_profiles().size());
  uint64_t done = 0;
  uint64_t failed = 0;
  const auto goes_on = [&] {
    const bool has_time = arguments.seconds == 0 || static_cast<uint64_t>(seconds()) < arguments.seconds;
    return done < arguments.count && has_time && !(arguments.stop && failed != 0);
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
