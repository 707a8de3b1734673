#include "target/daemon/cli/top_screen.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include "target/daemon/cli/text.h"
#include "target/daemon/cli/top.h"

namespace nvmf::cli {
namespace {

volatile std::sig_atomic_t g_ended = 0;

void on_end(int /*signal*/) { g_ended = 1; }
void on_resize(int /*signal*/) {}  // poll() returns, and the screen is drawn anew

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

// Switches the terminal to its alternate screen, without line editing and cursor; restores all of it at the end.
class Screen {
 public:
  Screen() : has_keys_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (has_keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    std::cout << "\x1b[?1049h\x1b[?25l";
  }
  ~Screen() {
    std::cout << "\x1b[?25h\x1b[?1049l" << std::flush;
    if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  static void draw(const Top& top) {
    std::string text;
    for (const char c : top.text(terminal_columns(), terminal_lines() - 1))
      text += c == '\n' ? "\x1b[K\n" : std::string(1, c);
    std::cout << "\x1b[H" << text << "\x1b[J" << std::flush;
  }

 private:
  termios before_{};
  bool has_keys_;
};

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

nlohmann::ordered_json ask(const Client& client, const char* path) {
  Reply reply = client.ask("GET", path);
  if (!reply.good())
    throw ClientError("the daemon answered " + std::string(path) + " with HTTP status " + std::to_string(reply.status));
  return printable(reply.body);
}

void look(const Client& client, Top& top) {
  top.add(now_s(), ask(client, "/v1/stats"), ask(client, "/v1/connections"));
}

// Waits until `until_s`. False: q was pressed, or a signal ends it.
bool wait(double until_s, bool has_keys, const Top* drawn) {
  while (g_ended == 0) {
    const double left = until_s - now_s();
    if (left <= 0) return true;
    pollfd keys{.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    const int ready = poll(&keys, 1, static_cast<int>(left * 1000) + 1);
    if (ready < 0 && errno == EINTR && drawn != nullptr) Screen::draw(*drawn);
    if (ready <= 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) <= 0) has_keys = false;
    if (key == 'q' || key == 'Q') return false;
  }
  return false;
}

int run_as_text(const Client& client, const TopOptions& options) {
  Top top;
  double next_s = now_s();
  look(client, top);
  while (wait(next_s += options.interval_s, false, nullptr)) {
    look(client, top);
    std::cout << top.text(terminal_columns(), 0) << (options.once ? "" : "\n") << std::flush;
    if (options.once || !std::cout) break;
  }
  return EXIT_SUCCESS;
}

}  // namespace

int run_top(const Client& client, const TopOptions& options) {
  handle(SIGINT, on_end);
  handle(SIGTERM, on_end);
  if (options.once || options.batch) return run_as_text(client, options);
  handle(SIGWINCH, on_resize);
  Top top;
  look(client, top);
  const Screen screen;
  double next_s = now_s();
  do {
    Screen::draw(top);
    if (!wait(next_s += options.interval_s, true, &top)) break;
    look(client, top);
  } while (true);
  return EXIT_SUCCESS;
}

}  // namespace nvmf::cli
