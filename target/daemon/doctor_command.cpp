#include "target/daemon/doctor_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "config/printable.h"
#include "config/wording.h"
#include "p2p/acs.h"
#include "p2p/doctor.h"
#include "p2p/saved_tree.h"
#include "p2p/user.h"
#include "target/daemon/named_file.h"

namespace nvmf::daemon {
namespace {

struct Options {
  bool self_test = false;
  bool json = false;
  std::string save;
  std::string from;
  std::string user;
  std::string grub_drop_in;
};

// Columns of the terminal that standard output goes to.
size_t terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 100;
}

p2p::Sysfs machine(const Options& options) {
  if (options.from.empty()) {
    p2p::Sysfs here;
    if (!options.user.empty()) here.judge_as(p2p::identity_of(options.user, here));
    return here;
  }
  const std::filesystem::path folder = options.from;
  if (!std::filesystem::is_directory(folder / "proc"))
    throw std::runtime_error(options.from + " is not a directory that `nvmf-p2p doctor --save` has made");
  return p2p::Sysfs(folder);
}

void save(const p2p::Sysfs& machine, const std::string& folder) {
  const size_t files = p2p::save_tree(machine, folder);
  std::cout
      << "saved " << config::count_of(files, "file") << " below " << config::printable(folder)
      << ". They tell the serial numbers of SSDs and the kernel's command line. To judge them elsewhere: nvmf-p2p "
         "doctor --from "
      << config::printable(folder) << '\n';
}

void write_grub_drop_in(const p2p::Report& report, const std::string& path) {
  const auto functions = p2p::redirecting_functions(report);
  if (functions.empty()) {
    std::cerr << config::printable(path) << " is not written: ACS redirects the data of no pair\n";
    return;
  }
  write_named_file(path, p2p::grub_drop_in(functions),
                   {.what = "file that this command wrote",
                    .is_of = [](std::string_view text) { return text.starts_with(p2p::kGrubDropInMark); },
                    .mode = 0644});
  std::cerr << "wrote " << config::printable(path) << "; it takes effect after update-grub and a reboot\n";
}

int diagnose(const Options& options) {
  const p2p::Sysfs sysfs = machine(options);
  if (!options.save.empty()) {
    save(sysfs, options.save);
    return 0;
  }
  p2p::Report report = p2p::diagnose(sysfs);
  if (options.self_test) p2p::run_self_tests(sysfs, report);
  std::cout << (options.json ? p2p::to_json(report) : config::printable_lines(p2p::render(report, terminal_width())));
  if (!options.grub_drop_in.empty()) write_grub_drop_in(report, options.grub_drop_in);
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, std::function<int()>& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Report which SSDs and RNICs of this machine can do peer-to-peer, and what to change");
  CLI::Option* const self_test = command->add_flag(
      "--self-test", options->self_test,
      "Also run the self-test of every pair: move a pattern through the CMB and compare it. It reads the "
      "SSDs, uses the free memory of their CMBs for a moment, and needs the same rights as `run`");
  command->add_flag("--json", options->json, "Print the report as one JSON object");
  CLI::Option* const user =
      command
          ->add_option("--user", options->user,
                       "Judge with the rights of this user: groups, and if nvmf-p2p.service runs as this user, the "
                       "capabilities, groups and memory limit of the unit")
          ->type_name("NAME");
  CLI::Option* const save = command
                                ->add_option("--save", options->save,
                                             "Report nothing, but save the part of /sys, /proc and /dev that the "
                                             "report is made from as a tree of files below a new directory")
                                ->type_name("DIR");
  command->add_option("--from", options->from, "Judge the machine whose files --save saved below this directory")
      ->type_name("DIR")
      ->excludes(self_test)
      ->excludes(user)
      ->excludes(save);
  command
      ->add_option(
          "--grub-drop-in", options->grub_drop_in,
          "Also write a file for /etc/default/grub.d with the boot parameter that turns ACS redirection off on "
          "the paths between SSDs and RNICs")
      ->type_name("FILE")
      ->excludes(save);
  save->excludes(self_test)->excludes(user);
  command->callback([=, &chosen] { chosen = [=] { return diagnose(*options); }; });
}

}  // namespace nvmf::daemon
