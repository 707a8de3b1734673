#include "transport/rdma/namespace_tables.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "target/core/subsystem/subsystem.h"

using namespace nvmf;
using namespace nvmf::rdma;

namespace {

struct Changing {
  core::Mailbox thread, control;
  NamespaceTables tables{thread, control, 128 << 10};
  // Only its address counts.
  std::byte place[1];
  const core::Subsystem& subsystem = *reinterpret_cast<const core::Subsystem*>(place);
  core::IoNamespace first, second;
  int done = 0;

  Changing() {
    tables.open(subsystem);
    first.nsid = second.nsid = 3;
  }
  void send(NamespaceChange& change, const core::IoNamespace* next) {
    change.subsystem = &subsystem;
    change.nsid = 3;
    change.next = next;
    change.context = this;
    change.done = [](NamespaceChange& over) { static_cast<Changing*>(over.context)->done++; };
    tables.change(change);
    thread.receive();
  }
  void end_turn() {
    if (tables.is_changing()) tables.report_changed();
    control.receive();
  }
};

}  // namespace

TEST_CASE("A table is empty at first, and holds what the last change says") {
  Changing c;
  const core::IoNamespaceTable* table = c.tables.find(c.subsystem);
  REQUIRE(table != nullptr);
  CHECK(table->max_transfer_bytes == 128 << 10);
  CHECK(table->find(3) == nullptr);
  NamespaceChange come;
  c.send(come, &c.first);
  CHECK(table->find(3) == &c.first);
  c.end_turn();
  CHECK(c.done == 1);
  CHECK_FALSE(c.tables.is_changing());
  CHECK(c.tables.close(c.subsystem).get() == table);
  CHECK(c.tables.find(c.subsystem) == nullptr);
}

TEST_CASE("A change is over when no command is for the previous namespace any more") {
  Changing c;
  NamespaceChange come, replace;
  c.send(come, &c.first);
  c.end_turn();
  core::Request request, other;
  core::set_namespace(request, &c.first);
  core::set_namespace(other, &c.first);

  c.send(replace, &c.second);
  CHECK(c.tables.find(c.subsystem)->find(3) == &c.second);
  core::set_namespace(request, &c.second);  // Flush of all namespaces goes from one to the next
  c.end_turn();
  CHECK(c.done == 1);
  core::set_namespace(other, nullptr);
  c.end_turn();
  CHECK(c.done == 2);
  CHECK(c.second.commands == 1);
}

TEST_CASE("Requests may wait for the limit and the pool of a namespace until it goes") {
  Changing c;
  core::Buffer region;
  region.length_bytes = 64 << 10;
  core::BufferPool pool(region, 64 << 10);
  core::RateLimit limit(1, 1);
  core::Throttle throttle(limit);
  c.first.cmb = &pool;
  c.first.throttle = &throttle;
  NamespaceChange come, go;
  c.send(come, &c.first);
  c.end_turn();
  CHECK(c.tables.pools() == std::vector{&pool});
  CHECK(c.tables.throttles() == std::vector{&throttle});
  c.send(go, nullptr);
  c.end_turn();
  CHECK(c.done == 2);
  CHECK(c.tables.throttles().empty());
  CHECK(c.tables.pools().empty());
}

TEST_CASE("A pool is forgotten with the last command of the last namespace that uses it") {
  Changing c;
  core::Buffer region;
  region.length_bytes = 64 << 10;
  core::BufferPool pool(region, 64 << 10);
  core::BufferPool own(region, 64 << 10);
  c.tables.add(own);
  c.first.cmb = c.second.cmb = &pool;
  NamespaceChange come, replace, go;
  c.send(come, &c.first);
  c.send(replace, &c.second);
  c.end_turn();
  CHECK(c.tables.pools() == std::vector{&own, &pool});
  core::Request request;
  core::set_namespace(request, &c.second);
  c.send(go, nullptr);
  c.end_turn();
  CHECK(c.done == 2);
  CHECK(c.tables.pools() == std::vector{&own, &pool});
  core::set_namespace(request, nullptr);
  c.end_turn();
  CHECK(c.done == 3);
  CHECK(c.tables.pools() == std::vector{&own});
}
