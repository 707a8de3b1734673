#include "target/daemon/stats_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <system_error>

namespace nvmf::daemon {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = boost::asio::local::stream_protocol::socket;
using Stream = beast::basic_stream<boost::asio::local::stream_protocol>;

constexpr std::chrono::seconds kClientTimeout{5};

// One request, one answer.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, const std::function<std::string()>& stats) : stream_(std::move(socket)), stats_(stats) {}

  void start() {
    stream_.expires_after(kClientTimeout);
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    response_.version(request_.version());
    response_.keep_alive(false);
    response_.set(http::field::server, "nvmf-p2p");
    if (request_.method() != http::verb::get) {
      response_.result(http::status::method_not_allowed);
      response_.set(http::field::allow, "GET");
    } else if (request_.target() != "/stats") {
      response_.result(http::status::not_found);
      response_.body() = "{\"error\": \"unknown path; GET /stats is what there is\"}\n";
    } else {
      response_.set(http::field::content_type, "application/json");
      response_.body() = stats_();
    }
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code, size_t) {
      beast::error_code ignored;
      self->stream_.socket().shutdown(Socket::shutdown_send, ignored);
    });
  }

  Stream stream_;
  const std::function<std::string()>& stats_;
  beast::flat_buffer buffer_{16384};
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
};

}  // namespace

StatsServer::StatsServer(boost::asio::io_context& io, std::string path, std::function<std::string()> stats)
    : path_(std::move(path)), stats_(std::move(stats)), acceptor_(io) {
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
  unlink(path_.c_str());
  acceptor_.open();
  const mode_t mask = umask(0177);
  boost::system::error_code error;
  acceptor_.bind(path_, error);
  umask(mask);
  if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) throw std::system_error(error, "cannot serve statistics on " + path_);
  accept();
}

StatsServer::~StatsServer() { unlink(path_.c_str()); }

void StatsServer::accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, Socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (!error) std::make_shared<Session>(std::move(socket), stats_)->start();
    accept();
  });
}

}  // namespace nvmf::daemon
