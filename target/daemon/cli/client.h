// The connection of the commands to the running daemon: HTTP on its admin socket.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nvmf::cli {

inline constexpr char kDefaultSocket[] = "/run/nvmf-p2p/admin.sock";

// The daemon cannot be reached. The message names the socket and the remedy.
class ClientError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Reply {
  unsigned status = 0;
  nlohmann::ordered_json body;  // null when the answer has no body

  bool good() const { return status < 300; }
};

class Client {
 public:
  // What only shows something is answered at once by a daemon that works.
  static constexpr std::chrono::seconds kPatience{30};

  // `patience`: how long ask() waits; none: however long a change takes, and kPatience for GET.
  explicit Client(std::string socket, std::optional<std::chrono::milliseconds> patience = {})
      : socket_(std::move(socket)), patience_(patience) {}

  // Waits for the answer. Throws ClientError.
  Reply ask(const std::string& method, const std::string& target, const std::string& body = "") const;
  // Gets an answer that goes on: calls `take` with each line of it, until `take` returns false, which returns an empty
  // reply, or the daemon ends the answer. A refusal is returned. Throws ClientError.
  Reply follow(const std::string& target, const std::function<bool(const std::string& line)>& take) const;

 private:
  std::string socket_;
  std::optional<std::chrono::milliseconds> patience_;
};

// One segment of a path, or a value of a query: RFC 3986 section 2.1.
std::string percent_encoded(std::string_view text);

}  // namespace nvmf::cli
