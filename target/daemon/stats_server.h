// HTTP on a UNIX socket: GET /stats answers with the counters as JSON, POST /ana takes a change as JSON.
// `curl --unix-socket PATH http://localhost/stats`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

namespace nvmf::daemon {

class StatsServer {
 public:
  struct Answers {
    std::function<std::string()> stats;
    // Takes the request's body; what it throws is told to the client.
    std::function<void(const std::string&)> ana;
  };

  // Takes the place of a socket that an earlier daemon left. Only the owner may connect. Throws std::system_error.
  StatsServer(boost::asio::io_context& io, std::string path, Answers answers);
  ~StatsServer();

 private:
  void accept();

  std::string path_;
  Answers answers_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
};

}  // namespace nvmf::daemon
