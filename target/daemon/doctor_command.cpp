#include "target/daemon/doctor_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "config/printable.h"
#include "p2p/doctor.h"

namespace nvmf::daemon {
namespace {

struct Options {
  bool self_test = false;
  bool json = false;
};

// Columns of the terminal that standard output goes to.
size_t terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 100;
}

int diagnose(const Options& options) {
  const p2p::Sysfs sysfs;
  p2p::Report report = p2p::diagnose(sysfs);
  if (options.self_test) p2p::run_self_tests(sysfs, report);
  std::cout << (options.json ? p2p::to_json(report) : config::printable_lines(p2p::render(report, terminal_width())));
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, std::function<int()>& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Report which SSDs and RDMA NICs of this machine can do peer-to-peer, and what to change");
  command->add_flag("--self-test", options->self_test,
                    "Also run the self-test of every pair: move a pattern through the CMB and compare it. It reads the "
                    "SSDs, uses the free memory of their CMBs for a moment, and needs the same rights as `run`");
  command->add_flag("--json", options->json, "Print the report as one JSON object");
  command->callback([=, &chosen] { chosen = [=] { return diagnose(*options); }; });
}

}  // namespace nvmf::daemon
