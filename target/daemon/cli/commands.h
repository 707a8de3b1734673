// The commands that talk to the running daemon: what they take, and what they print.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "target/daemon/cli/client.h"
#include "target/daemon/cli/views.h"

namespace nvmf::cli {

// Exit statuses, beside 0.
inline constexpr int kExitFailed = 1;  // the daemon cannot be reached, or cannot do it
inline constexpr int kExitUsage = 2;   // wrong usage, or what was asked for has mistakes

// `KEY=VALUE` arguments as the JSON object that they mean: a value is JSON where it can be read as JSON, else a text; a
// key with dots leads into objects. Throws std::invalid_argument.
Json object_from(const std::vector<std::string>& settings);

class Commands {
 public:
  // Adds them to the parser, which must not outlive this.
  explicit Commands(CLI::App& app);
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // After parsing: whether one of them was given, and its exit status.
  bool given() const { return static_cast<bool>(chosen_); }
  int run() const;

 private:
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what, std::function<int()> run);
  CLI::App* group(CLI::App& parent, const std::string& name, const std::string& what);
  void add_views(CLI::App& app);
  void add_config_changes(CLI::App& app);
  void add_adds(CLI::App& parent);
  void add_removes(CLI::App& parent);
  void add_sets(CLI::App& parent);
  void add_operations(CLI::App& app);
  void add_ana(CLI::App& app);
  void add_top(CLI::App& app);
  CLI::Option* take_nqn(CLI::App& command);
  void take_settings(CLI::App& command);

  int show(const std::string& path, View view) const;
  // Prints what came of a request that the daemon answers with a change.
  int change(const std::string& method, const std::string& path, const std::string& body = "") const;
  // The same of one that it answers with nothing, or with little: `done` says what.
  int operate(const std::string& path, const std::string& done, const std::string& body = "") const;
  int wait_until_drained() const;
  int refuse(const Reply& reply) const;
  int print(const Reply& reply, View view) const;
  std::string path_of_subsystem() const;
  std::string path_of_namespace() const;
  std::string settings() const { return object_from(settings_).dump(); }

  std::string socket_ = kDefaultSocket;
  bool json_ = false;
  // What the command in hand takes.
  std::string nqn_;
  std::string hostnqn_;
  std::string file_;
  std::string level_;
  std::string state_;
  uint32_t nsid_ = 0;
  uint32_t group_ = 0;
  uint16_t port_ = 0;
  std::vector<std::string> settings_;
  double interval_s_ = 1;
  bool once_ = false;
  bool wait_ = false;
  bool batch_ = false;

  std::function<int()> chosen_;
};

}  // namespace nvmf::cli
