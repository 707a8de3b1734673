#include "target/daemon/cli/upgrade.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <optional>
#include <thread>
#include <vector>

#include "config/wording.h"
#include "target/daemon/cli/text.h"

namespace nvmf::cli {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{50};
// Hosts are moved and disconnected, the next daemon starts, devices are opened, CMBs are perhaps tested.
constexpr std::chrono::seconds kTimeout{120};

std::string version_of(const Json& status) { return status.at("version").get<std::string>(); }

std::vector<unsigned> listening_ports(const Json& status) {
  std::vector<unsigned> ports;
  for (const Json& port : status.at("ports"))
    if (port.at("state") == "listening") ports.push_back(port.at("id").get<unsigned>());
  return ports;
}

std::string extent_of(const Json& status) {
  return config::count_of(status.at("namespaces").get<size_t>(), "namespace") + " on " +
         config::count_of(listening_ports(status).size(), "port");
}

// None: it does not answer, or answers that it cannot.
std::optional<Json> status_of(const Client& client) {
  try {
    Reply reply = client.ask("GET", "/v1/status");
    if (reply.good()) return printable(reply.body);
  } catch (const ClientError&) {
    return std::nullopt;  // no daemon is there for a moment
  }
  return std::nullopt;
}

// What was served before and is not served now, a sentence each.
std::vector<std::string> losses(const Json& before, const Json& now) {
  std::vector<std::string> lost;
  const std::vector<unsigned> listening = listening_ports(now);
  for (const unsigned port : listening_ports(before))
    if (std::ranges::find(listening, port) == listening.end())
      lost.push_back("port " + std::to_string(port) + " does not listen: see nvmf-p2p status");
  if (now.at("namespaces").get<unsigned>() < before.at("namespaces").get<unsigned>())
    lost.push_back("of " + before.at("namespaces").dump() + " namespaces " + now.at("namespaces").dump() +
                   " are served: see nvmf-p2p namespaces");
  return lost;
}

int complain(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences) std::cerr << sentence << '\n';
  return EXIT_FAILURE;
}

int refuse(const Reply& reply, const std::string& version) {
  if (reply.status == 404)
    return complain({"the running daemon, version " + version +
                     ", cannot hand over to another program: restart it (systemctl restart nvmf-p2p)"});
  const Json answer = printable(reply.body);
  if (answer.contains("reasons"))
    for (const Json& reason : answer.at("reasons")) std::cerr << reason.get<std::string>() << '\n';
  return complain({answer.value("error", "the daemon answered with HTTP status " + std::to_string(reply.status))});
}

bool is_same_process(const Json& before, const Json& now) { return now.at("started_ms") == before.at("started_ms"); }

int conclude(const Json& before, const Json& now, Clock::duration took) {
  if (const auto failure = now.at("upgrade_failure").get<std::string>(); !failure.empty())
    return complain({"the upgrade failed, and version " + version_of(now) + " serves again: " + failure});
  if (is_same_process(before, now))
    return complain(
        {"version " + version_of(now) + " still serves, and has not handed over within " +
         std::to_string(kTimeout.count()) +
         " s: another change of its config may not have ended; see the daemon's log (journalctl -u nvmf-p2p)"});
  if (const auto lost = losses(before, now); !lost.empty()) return complain(lost);
  std::cout << "version " << version_of(now) << " serves " << extent_of(now) << ", after " << std::fixed
            << std::setprecision(1) << std::chrono::duration<double>(took).count() << " s\n";
  return EXIT_SUCCESS;
}

// The last that a daemon said, however much is served by then; none: none answers. An older daemon does not forget an
// earlier failure when it agrees to another upgrade.
std::optional<Json> await_successor(const Client& client, const Json& before) {
  const Clock::time_point end = Clock::now() + kTimeout;
  std::string earlier = before.at("upgrade_failure").get<std::string>();
  std::optional<Json> last;
  while (Clock::now() < end) {
    if (auto now = status_of(client)) {
      const bool is_next = !is_same_process(before, *now);
      const auto failure = now->at("upgrade_failure").get<std::string>();
      if (failure.empty()) earlier.clear();
      last = std::move(now);
      if (!failure.empty() && (is_next || failure != earlier)) return last;
      if (is_next && losses(before, *last).empty()) return last;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return last;
}

}  // namespace

int run_upgrade(const Client& client, bool force) {
  const Reply status = client.ask("GET", "/v1/status");
  if (!status.good()) return refuse(status, "unknown");
  const Json before = printable(status.body);
  std::cout << "version " << version_of(before) << " serves " << extent_of(before)
            << "; asking the program in its place" << std::endl;
  const Reply plan = client.ask("POST", force ? "/v1/upgrade?force=true" : "/v1/upgrade");
  if (!plan.good()) return refuse(plan, version_of(before));
  const Clock::time_point begin = Clock::now();
  const Json agreed = printable(plan.body);
  for (const Json& note : agreed.at("notes")) std::cout << note.get<std::string>() << '\n';
  std::cout << "version " << version_of(agreed) << " takes over: hosts move to other paths, or reconnect" << std::endl;
  const auto after = await_successor(client, before);
  if (!after)
    return complain({"no daemon answers after " + std::to_string(kTimeout.count()) +
                     " s: see the daemon's log (journalctl -u nvmf-p2p)"});
  return conclude(before, *after, Clock::now() - begin);
}

}  // namespace nvmf::cli
