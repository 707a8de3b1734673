#include "target/daemon/stats_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

namespace nvmf::daemon {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = boost::asio::local::stream_protocol::socket;
using Stream = beast::basic_stream<boost::asio::local::stream_protocol>;

constexpr std::chrono::seconds kClientTimeout{5};
// What a client sent may stand in the answer: it need not be UTF-8.
constexpr auto kReplaceInvalid = nlohmann::json::error_handler_t::replace;

// One request, one answer.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, const StatsServer::Answers& answers) : stream_(std::move(socket)), answers_(answers) {}

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
    const auto path = request_.target();
    if (path == "/stats") {
      answer_stats();
    } else if (path == "/ana") {
      answer_ana();
    } else {
      refuse(http::status::not_found, "unknown path; GET /stats and POST /ana are what there is");
    }
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code, size_t) {
      beast::error_code ignored;
      self->stream_.socket().shutdown(Socket::shutdown_send, ignored);
    });
  }

  void answer_stats() {
    if (request_.method() != http::verb::get) return refuse_method("GET");
    response_.set(http::field::content_type, "application/json");
    response_.body() = answers_.stats();
  }

  void answer_ana() {
    if (request_.method() != http::verb::post) return refuse_method("POST");
    try {
      answers_.ana(request_.body());
      response_.result(http::status::no_content);
    } catch (const std::exception& error) {
      refuse(http::status::bad_request, error.what());
    }
  }

  void refuse_method(const char* allowed) {
    response_.set(http::field::allow, allowed);
    refuse(http::status::method_not_allowed, std::string("this path takes ") + allowed);
  }

  void refuse(http::status status, const std::string& why) {
    response_.result(status);
    response_.set(http::field::content_type, "application/json");
    response_.body() = nlohmann::json{{"error", why}}.dump(-1, ' ', false, kReplaceInvalid) + "\n";
  }

  Stream stream_;
  const StatsServer::Answers& answers_;
  beast::flat_buffer buffer_{16384};
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

}  // namespace

StatsServer::StatsServer(boost::asio::io_context& io, std::string path, Answers answers)
    : path_(std::move(path)), answers_(std::move(answers)), acceptor_(io) {
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
    if (!error) std::make_shared<Session>(std::move(socket), answers_)->start();
    accept();
  });
}

}  // namespace nvmf::daemon
