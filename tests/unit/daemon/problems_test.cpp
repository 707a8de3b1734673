// Each condition that an operator must know of is a sentence with its remedy.
#include "target/daemon/problems.h"

#include <doctest/doctest.h>

namespace nvmf::daemon {
namespace {

using Weight = Problem::Weight;

Conditions good() {
  Conditions conditions;
  conditions.health.ports = {{.id = 1, .address = "192.0.2.1", .state = "listening"}};
  conditions.cmbs = {{.ssd = "0000:01:00.0", .failure = "", .pairs = {{.rdma_device = "mlx5_0", .is_proved = true}}}};
  return conditions;
}

Problem only_problem_in(const Conditions& conditions) {
  const auto problems = problems_in(conditions);
  REQUIRE(problems.size() == 1);
  CHECK_FALSE(problems.front().remedy.empty());
  return problems.front();
}

TEST_CASE("Everything works: no problem") { CHECK(problems_in(good()).empty()); }

TEST_CASE("A port that waits is a fault, with its reason; one that was drained is the operator's will") {
  Conditions conditions = good();
  conditions.health.ports.front() = {.id = 1, .address = "192.0.2.1", .state = "waiting", .reason = "no such address"};
  const Problem waits = only_problem_in(conditions);
  CHECK(waits.weight == Weight::Fault);
  CHECK(waits.what == "Port 1 (192.0.2.1) is waiting: no such address");
  conditions.health.ports.front() = {.id = 1, .address = "192.0.2.1", .state = "drained"};
  const Problem drained = only_problem_in(conditions);
  CHECK(drained.weight == Weight::Note);
  CHECK(drained.what == "Port 1 (192.0.2.1) is drained.");
  CHECK(drained.remedy.find("nvmf-p2p resume 1") != std::string::npos);
  conditions.health.ports.clear();
  CHECK(only_problem_in(conditions).weight == Weight::Fault);
}

TEST_CASE("A namespace that is not served") {
  Conditions conditions = good();
  conditions.missing[{"nqn.2024-01.org.example:a", 3}] = "/dev/ng7n1 is not there";
  const Problem problem = only_problem_in(conditions);
  CHECK(problem.weight == Weight::Fault);
  CHECK(problem.what == "Namespace 3 of nqn.2024-01.org.example:a is not served: /dev/ng7n1 is not there");
}

TEST_CASE("A CMB that cannot be used, or not with one RNIC: the self-test's own remedies come first") {
  Conditions conditions = good();
  conditions.cmbs.front().failure = "it has no free memory";
  CHECK(only_problem_in(conditions).what == "The CMB of 0000:01:00.0 is not used: it has no free memory");
  conditions = good();
  conditions.cmbs.front().pairs.push_back({.rdma_device = "rxe0",
                                           .is_proved = false,
                                           .findings = {"wrong bytes", "at MTU 1024"},
                                           .remedies = {"ip link set dev eth0 mtu 9000"}});
  const Problem problem = only_problem_in(conditions);
  CHECK(problem.weight == Weight::Note);
  CHECK(problem.what == "Data between 0000:01:00.0 and rxe0 goes through DRAM: wrong bytes; at MTU 1024");
  CHECK(problem.remedy == "ip link set dev eth0 mtu 9000");
}

TEST_CASE("A state directory that cannot be written, and identifiers that are not saved, are faults") {
  Conditions conditions = good();
  conditions.health.state_dir_fault = "cannot write /var/lib/nvmf-p2p/x: No space left on device";
  const Problem full = only_problem_in(conditions);
  CHECK(full.weight == Weight::Fault);
  CHECK(full.what.ends_with(": cannot write /var/lib/nvmf-p2p/x: No space left on device"));
  conditions = good();
  conditions.health.unsaved_identifiers = 2;
  CHECK(only_problem_in(conditions).what.starts_with("The identifiers of 2 namespaces are not saved"));
}

TEST_CASE("A metrics address that cannot be bound is a fault, which the metrics themselves cannot tell") {
  Conditions conditions = good();
  conditions.health.metrics_fault = "192.0.2.1:9482: Cannot assign requested address";
  const Problem problem = only_problem_in(conditions);
  CHECK(problem.weight == Weight::Fault);
  CHECK(problem.what.ends_with(": 192.0.2.1:9482: Cannot assign requested address"));
}

TEST_CASE("A file that was removed or replaced while hosts use it is a fault") {
  Conditions conditions = good();
  conditions.displaced_files[{"nqn.a", 3}] = "/srv/image";
  const Problem problem = only_problem_in(conditions);
  CHECK(problem.weight == Weight::Fault);
  CHECK(problem.what.starts_with("The file of namespace 3 of nqn.a, /srv/image, was removed or replaced."));
}

TEST_CASE("Key files that cannot be read are a fault") {
  Conditions conditions = good();
  conditions.health.unreadable_keys = 2;
  const Problem problem = only_problem_in(conditions);
  CHECK(problem.weight == Weight::Fault);
  CHECK(problem.what.starts_with("2 key files of hosts cannot be read"));
}

TEST_CASE("A reload that was refused, changes that were not saved; faults come first") {
  Conditions conditions = good();
  conditions.health.unsaved_changes = 2;
  CHECK(only_problem_in(conditions).weight == Weight::Note);
  conditions.health.reload_succeeded = true;
  CHECK(problems_in(conditions).size() == 1);
  conditions.health.reload_succeeded = false;
  conditions.health.ports.push_back({.id = 2, .address = "192.0.2.2", .state = "drained"});
  const auto problems = problems_in(conditions);
  REQUIRE(problems.size() == 3);
  CHECK(problems[0].weight == Weight::Fault);
  CHECK(problems[0].what.find("reload") != std::string::npos);
  CHECK(problems[1].weight == Weight::Note);
}

}  // namespace
}  // namespace nvmf::daemon
