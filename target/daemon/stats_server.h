// HTTP on a UNIX socket: GET /stats answers with the counters as JSON. `curl --unix-socket PATH
// http://localhost/stats`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

namespace nvmf::daemon {

class StatsServer {
 public:
  // Takes the place of a socket that an earlier daemon left. Only the owner may connect. Throws std::system_error.
  StatsServer(boost::asio::io_context& io, std::string path, std::function<std::string()> stats);
  ~StatsServer();

 private:
  void accept();

  std::string path_;
  std::function<std::string()> stats_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
};

}  // namespace nvmf::daemon
