#include "target/daemon/cli/completion.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <exception>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "target/daemon/cli/client.h"
#include "target/daemon/cli/commands.h"

namespace nvmf::cli {
namespace {

using Values = std::set<std::string>;

// A shell waits meanwhile.
constexpr std::chrono::milliseconds kPatience{1000};

// A command line as far as it has been typed.
struct Typed {
  const CLI::App* command;
  std::vector<std::string> arguments{};   // of the command, but for the last word
  const CLI::Option* argument = nullptr;  // the one that the last word is; null: the last word is none
  std::string socket = kDefaultSocket;
};

const CLI::App* child_of(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* child) { return child->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// The argument that comes after `count` others.
const CLI::Option* argument_after(const CLI::App& command, size_t count) {
  const auto all = command.get_options([](const CLI::Option* one) { return !one->nonpositional(); });
  return count < all.size() ? all[count] : nullptr;
}

void take_value(const CLI::Option& option, const std::string& value, Typed& typed) {
  if (option.check_lname("socket")) typed.socket = value;
}

// The option whose value the next word is; null: none.
const CLI::Option* take_option(const std::string& word, Typed& typed) {
  const size_t equals = word.find('=');
  const CLI::Option* const option = typed.command->get_option_no_throw(word.substr(0, equals));
  if (option == nullptr || option->get_items_expected_max() == 0) return nullptr;
  if (equals == std::string::npos) return option;
  take_value(*option, word.substr(equals + 1), typed);
  return nullptr;
}

Typed read(const CLI::App& app, const std::vector<std::string>& words) {
  Typed typed{.command = &app};
  const CLI::Option* open = nullptr;
  for (auto word = words.begin(); word != std::prev(words.end()); ++word) {
    const CLI::App* const child = typed.arguments.empty() ? child_of(*typed.command, *word) : nullptr;
    if (open != nullptr) {
      take_value(*open, *word, typed);
      open = nullptr;
    } else if (word->starts_with('-')) {
      open = take_option(*word, typed);
    } else if (child != nullptr) {
      typed.command = child;
    } else {
      typed.arguments.push_back(*word);
    }
  }
  if (open == nullptr && !words.back().starts_with('-'))
    typed.argument = argument_after(*typed.command, typed.arguments.size());
  return typed;
}

Json answer_of(const Typed& typed, const std::string& path) {
  Reply reply = Client(typed.socket, kPatience).ask("GET", path);
  return reply.good() ? std::move(reply.body) : Json::array();
}

Values subsystems(const Typed& typed) {
  Values nqns;
  for (const Json& one : answer_of(typed, "/v1/subsystems")) nqns.insert(one.at("nqn").get<std::string>());
  return nqns;
}

Values namespaces(const Typed& typed) {
  Values nsids;
  for (const Json& one : answer_of(typed, "/v1/namespaces"))
    if (one.at("subsystem") == typed.arguments.front()) nsids.insert(one.at("nsid").dump());
  return nsids;
}

Values ports(const Typed& typed) {
  Values ids;
  const Json status = answer_of(typed, "/v1/status");
  for (const Json& one : status.at("ports")) ids.insert(one.at("id").dump());
  return ids;
}

Values ssds(const Typed& typed) {
  Values addresses{"all"};
  const Json p2p = answer_of(typed, "/v1/p2p");
  for (const Json& one : p2p.at("ssds")) addresses.insert(one.at("address").get<std::string>());
  return addresses;
}

Values connected_hosts(const Typed& typed) {
  Values nqns;
  const Json connections = answer_of(typed, "/v1/connections");
  for (const Json& one : connections.at("hosts")) nqns.insert(one.at("nqn").get<std::string>());
  return nqns;
}

// Of one subsystem, or of the others.
Values allowed_hosts(const Typed& typed, bool of_others) {
  Values nqns;
  for (const Json& one : answer_of(typed, "/v1/subsystems")) {
    if ((one.at("nqn") != typed.arguments.front()) != of_others) continue;
    for (const char* const list : {"allowed_hosts", "hosts"})
      for (const Json& nqn : one.at(list)) nqns.insert(nqn.get<std::string>());
  }
  return nqns;
}

Values hosts(const Typed& typed) {
  if (typed.arguments.empty()) return connected_hosts(typed);  // `disconnect`
  if (typed.command->get_parent()->get_name() == "remove") return allowed_hosts(typed, false);
  Values nqns = allowed_hosts(typed, true);
  nqns.merge(connected_hosts(typed));
  for (const std::string& allowed : allowed_hosts(typed, false)) nqns.erase(allowed);
  return nqns;
}

// Whether the argument is the name of something that is to be made.
bool names_something_new(const CLI::App& command) {
  return command.get_name() == "subsystem" && command.get_parent()->get_name() == "add";
}

Values values_of(const Typed& typed) {
  if (typed.argument == nullptr || names_something_new(*typed.command)) return {};
  const std::string type = typed.argument->get_type_name();
  if (type.starts_with(kNqnType)) return subsystems(typed);
  if (type.starts_with(kNsidType)) return namespaces(typed);
  if (type.starts_with(kPortType)) return ports(typed);
  if (type.starts_with(kHostType)) return hosts(typed);
  if (type.starts_with(kSsdType)) return ssds(typed);
  return {};
}

bool is_plain(const std::string& value) {
  return std::ranges::all_of(value, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-._:+,@%/").find(c) != std::string::npos;
  });
}

}  // namespace

std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& words) {
  std::vector<std::string> candidates;
  if (words.empty()) return candidates;
  try {
    for (const std::string& value : values_of(read(app, words)))
      if (value.starts_with(words.back()) && is_plain(value)) candidates.push_back(value);
  } catch (const std::exception&) {
    // Whoever completes a word wants no message.
  }
  return candidates;
}

}  // namespace nvmf::cli
