// What an operator has to mend, in sentences, each with its remedy. Control thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "target/daemon/metrics.h"
#include "target/daemon/staging.h"

namespace nvmf::daemon {

struct Problem {
  enum class Weight : uint8_t {
    Fault,  // something that the config wants does not work
    Note,   // everything is served, but not as well as it could be
  };
  Weight weight = Weight::Fault;
  std::string what;
  std::string remedy;
};

// An SSD whose CMB was to be used.
struct CmbCondition {
  std::string ssd;      // PCI address
  std::string failure;  // why its CMB cannot be used; empty: it can
  struct Pair {
    std::string rdma_device;
    bool is_proved = false;
    std::vector<std::string> findings{};
    std::vector<std::string> remedies{};
  };
  std::vector<Pair> pairs{};
};

struct Conditions {
  HealthFigures health{};
  MissingNamespaces missing{};
  std::map<std::pair<std::string, uint32_t>, std::string> displaced_files{};  // Storage's
  std::vector<CmbCondition> cmbs{};
};

// Faults first.
std::vector<Problem> problems_in(const Conditions& conditions);

}  // namespace nvmf::daemon
