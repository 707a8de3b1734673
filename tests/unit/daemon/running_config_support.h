// An operator who edits the files of a daemon whose running config is saved to them.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

#include "config/parse.h"
#include "target/daemon/running_config.h"
#include "target/daemon/save_journal.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {

inline constexpr char kText[] = R"({
  // the operator's comment
  "log_level": "info", "ports": [], "subsystems": []
})";
inline constexpr uid_t kStranger = 12345;

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Operator {
  Scratch scratch;
  std::string file = scratch.path() + "/config.json";

  explicit Operator(const std::string& text = kText) { write(text); }
  void write(const std::string& text) const { std::ofstream(file, std::ios::trunc) << text; }
  RunningConfig start(DurableHook before = {}) const {
    undo_before_reading(file);
    config::Sources sources;
    config::Result loaded = config::load(file, &sources);
    REQUIRE(loaded.config.has_value());
    return {*std::move(loaded.config), std::move(sources), std::move(before)};
  }
  // As a reload does.
  void reload(RunningConfig& running) const {
    undo_before_reading(file);
    config::Sources sources;
    config::Result loaded = config::load(file, &sources);
    REQUIRE(loaded.config.has_value());
    running.replace_by_files(*std::move(loaded.config), std::move(sources));
  }
  std::string copy() const { return file + "~"; }
};

inline SavedFiles save(RunningConfig& running, bool force) {
  boost::asio::io_context io;
  WorkerThread files;
  auto saved = boost::asio::co_spawn(io, running.save(force, files), boost::asio::use_future);
  io.run();
  return saved.get();
}

// As the admin API does.
inline void change(RunningConfig& running, const std::function<void(config::Json& document)>& edit) {
  config::Json document = running.document();
  edit(document);
  const config::Result changed = config::parse(config::text_of(document), "the changed config");
  REQUIRE(changed.config.has_value());
  running.replace(*changed.config, document);
}

inline void change_log_level(RunningConfig& running, const std::string& level) {
  change(running, [&](config::Json& document) { document["log_level"] = level; });
}

inline std::string refusal_of(RunningConfig& running, bool force = false) {
  try {
    save(running, force);
  } catch (const Refused& refused) {
    return refused.what();
  }
  FAIL("saving was not refused");
  return {};
}

}  // namespace nvmf::daemon
