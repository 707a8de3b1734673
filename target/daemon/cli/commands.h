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
inline constexpr int kExitUsage = 2;   // wrong usage, or the requested change has mistakes
inline constexpr int kExitFound = 3;   // done, and --exit-code asked whether there is what there is

// What arguments are, as the help calls it.
inline constexpr char kNqnType[] = "NQN";
inline constexpr char kHostType[] = "HOSTNQN";
inline constexpr char kNsidType[] = "NSID";
inline constexpr char kPortType[] = "PORT";
inline constexpr char kSsdType[] = "SSD";

class Commands {
 public:
  // Adds the commands to the parser, which must not outlive this object.
  explicit Commands(CLI::App& app);
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // After parsing: runs the command that was given. Returns its exit status.
  bool given() const { return static_cast<bool>(chosen_); }
  int run() const;

 private:
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what, std::function<int()> run);
  CLI::App* group(CLI::App& parent, const std::string& name, const std::string& what);
  void add_views(CLI::App& app);
  void add_p2p(CLI::App& app);
  void add_config_changes(CLI::App& app);
  void add_adds(CLI::App& parent);
  void add_removes(CLI::App& parent);
  void add_sets(CLI::App& parent);
  void add_operations(CLI::App& app);
  void add_upgrade(CLI::App& app);
  void add_ana(CLI::App& app);
  void add_namespace_states(CLI::App& app);
  void add_events(CLI::App& app);
  void add_top(CLI::App& app);
  CLI::Option* take_nqn(CLI::App& command);
  void take_nsid(CLI::App& command);
  void take_settings(CLI::App& command);
  void take_ports(CLI::App& command);

  int show(const std::string& path, View view) const;
  // Sends a request that the daemon answers with a list of changes, and prints them.
  int change(const std::string& method, const std::string& path, const std::string& body = "") const;
  // Sends a request whose answer has no list of changes, and prints `done`.
  int operate(const std::string& path, const std::string& done, const std::string& body = "") const;
  int set_ana() const;
  int show_status() const;
  int show_p2p() const;
  int follow_events() const;
  int compare() const;
  int save() const;
  // What a request needs that brings the config `file_` and its drop-ins. Throws std::invalid_argument when it cannot
  // be read.
  struct ConfigRequest {
    std::string query;
    std::string body;
  };
  ConfigRequest request_with_config() const;
  // The elements of a list that are of the subsystem and namespace that were named, if they were.
  int show_named(const std::string& path, View view) const;
  bool is_known() const;
  // What is said of the named port, or of all ports, when none has changed.
  struct Unchanged {
    std::string one;
    std::string all;
  };
  // `done`: what is said of a port that has changed.
  int operate_ports(const std::string& path, const std::function<std::string(const Json& port)>& done,
                    const Unchanged& unchanged) const;
  std::string resumed(const Json& port) const;
  int wait_until_drained() const;
  int refuse(const Reply& reply) const;
  int print(const Reply& reply, View view) const;
  std::string path_of_subsystem() const;
  std::string path_of_namespace() const;
  // Throws std::invalid_argument when there is none, with an `example` of the command, or one is not of its form.
  Json settings(const std::string& example) const;

  std::string socket_ = kDefaultSocket;
  bool json_ = false;
  // The arguments of the command.
  std::string nqn_;
  std::string hostnqn_;
  std::string file_;
  std::string level_;
  std::string state_;
  std::string ssd_;
  uint32_t nsid_ = 0;
  uint32_t group_ = 0;
  uint16_t port_ = 0;
  std::vector<std::string> settings_;
  double interval_s_ = 1;
  bool all_ = false;
  bool exit_code_ = false;
  bool force_ = false;
  bool once_ = false;
  bool past_ = false;
  bool prove_ = false;
  bool wait_ = false;
  bool batch_ = false;

  std::function<int()> chosen_;
};

}  // namespace nvmf::cli
