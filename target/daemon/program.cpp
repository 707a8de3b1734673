#include "target/daemon/program.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <system_error>

namespace nvmf::daemon {
namespace {

using backend::Descriptor;

constexpr char kSelf[] = "/proc/self/exe";
// "FILE TEXT VERSION SERVED": the descriptors of the former program's file and of the text of its config, what it is,
// and the descriptor of the text that has in each line something that it served.
constexpr char kFormer[] = "NVMF_P2P_FORMER";
// "TEXT REASON": the descriptor of the text of the config with which the program ran before, and what failed.
constexpr char kFailed[] = "NVMF_P2P_UPGRADE_FAILED";

// Removed from the environment, so that it is told once.
std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

// With a slash it is a path, which may be a link to another version's file by the time of an upgrade.
std::string path_of(const char* name) {
  std::error_code error;
  if (std::strchr(name, '/') != nullptr) return std::filesystem::absolute(name, error).string();
  return std::filesystem::read_symlink(kSelf, error).string();
}

// Not open when the number is that of no such file.
Descriptor take_regular_file(int number) {
  struct stat status {};
  if (number <= STDERR_FILENO || fstat(number, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  fcntl(number, F_SETFD, FD_CLOEXEC);
  return Descriptor(number);
}

Descriptor file_with(const std::string& text) {
  Descriptor file(memfd_create("config", MFD_CLOEXEC));
  const bool is_whole =
      file.is_open() && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  return is_whole ? std::move(file) : Descriptor();
}

std::string content_of(const Descriptor& file) {
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t count = 0;; text.append(piece.data(), static_cast<size_t>(count))) {
    count = pread(file.get(), piece.data(), piece.size(), static_cast<off_t>(text.size()));
    if (count <= 0) return text;
  }
}

// In the next program only the standard descriptors, and `kept`, are open. A wish for a reload must not end it before
// it listens to that signal.
void prepare_exec(std::initializer_list<int> kept) {
  std::signal(SIGHUP, SIG_IGN);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int descriptor : kept)
    if (descriptor >= 0) fcntl(descriptor, F_SETFD, 0);
}

void tell_failure(const Descriptor& config, const std::string& why) {
  unsetenv(kFormer);
  setenv(kFailed, (std::to_string(config.get()) + " " + why).c_str(), 1);
  prepare_exec({config.get()});
}

}  // namespace

Program::Program(int argc, char** argv) : arguments_(argv, argv + argc), path_(path_of(argv[0])) {
  arguments_.push_back(nullptr);
  take_failure(take_variable(kFailed));
  take_former(take_variable(kFormer));
}

void Program::take_former(const std::string& told) {
  std::istringstream words(told);
  int file = -1;
  int text = -1;
  std::string version;
  if (!(words >> file >> text >> version)) return;
  former_file_ = take_regular_file(file);
  former_text_ = take_regular_file(text);
  former_version_ = version;
  int served = -1;
  if (!(words >> served)) return;
  const Descriptor names = take_regular_file(served);
  if (!names.is_open()) return;
  std::istringstream lines(content_of(names));
  for (std::string line; std::getline(lines, line);) former_served_.push_back(line);
}

void Program::take_failure(const std::string& told) {
  std::istringstream words(told);
  int text = -1;
  if (!(words >> text >> std::ws && std::getline(words, upgrade_failure_))) return;
  if (const Descriptor config = take_regular_file(text); config.is_open()) former_config_ = content_of(config);
  // A program that was started by its descriptor has another name.
  prctl(PR_SET_NAME, std::filesystem::path(path_).filename().c_str());
}

void Program::replace(const std::string& config, const std::vector<std::string>& served) const {
  const Descriptor self(open(kSelf, O_RDONLY | O_CLOEXEC));
  const Descriptor text = file_with(config);
  std::string lines;
  for (const std::string& name : served) lines += name + '\n';
  const Descriptor names = file_with(lines);
  const std::string former = std::to_string(self.get()) + " " + std::to_string(text.get()) + " " + NVMF_P2P_VERSION +
                             " " + std::to_string(names.get());
  setenv(kFormer, former.c_str(), 1);
  prepare_exec({self.get(), text.get(), names.get()});
  execv(path_.c_str(), arguments_.data());
  const std::string why = path_ + " cannot be started: " + std::strerror(errno);
  spdlog::error("the upgrade failed, version {} starts again: {}", NVMF_P2P_VERSION, why);
  tell_failure(text, why);
  execv(kSelf, arguments_.data());
  throw std::system_error(errno, std::generic_category(), "cannot start this program again");
}

void Program::settle() {
  former_file_ = {};
  former_text_ = {};
}

void Program::go_back(const std::string& reason) const {
  if (!former_file_.is_open()) return;
  const std::string why = std::string("version ") + NVMF_P2P_VERSION + " " + reason;
  spdlog::error("the upgrade failed, version {} returns: {}", former_version_, why);
  tell_failure(former_text_, why);
  fexecve(former_file_.get(), arguments_.data(), environ);
  spdlog::error("version {} cannot be started again: {}", former_version_, std::strerror(errno));
}

}  // namespace nvmf::daemon
