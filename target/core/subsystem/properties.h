// Controller properties (CAP, VS, CC, CSTS, NSSR, CRTO) and the state machine behind CC and CSTS: NVMe Base 2.0,
// sections 3.1.3 and 3.5 to 3.7. Knows no queue: the controller acts on what write_cc() returns.
#pragma once

#include <cstdint>
#include <optional>

namespace nvmf::core {

class Properties {
 public:
  // What a write to CC asks of the controller.
  enum class Action : uint8_t {
    None,
    Start,     // commands may run
    Reset,     // controller level reset: abort what is outstanding, delete the I/O queues
    ShutDown,  // no command runs any more
    Fail,      // CC asks for what CAP does not offer
  };

  static constexpr uint32_t kVersion = 0x20000;  // 2.0.0

  // What an NVM Subsystem Reset is to the controller.
  enum class SubsystemReset : uint8_t {
    NotSupported,
    Supported,
    Occurred,  // supported, and its subsystem has been reset so: CSTS.NSSRO is set until the host clears it
  };
  static constexpr uint32_t kNssrSignature = 0x4e564d65;  // "NVMe", which NSSR must be written with

  // `max_queue_depth`: entries. I/O controllers insist on the entry sizes in CC, discovery controllers do not.
  Properties(uint16_t max_queue_depth, bool io_controller, SubsystemReset reset = SubsystemReset::NotSupported);

  // The value of the property at `offset`; none when there is no such property of `size_bytes`.
  std::optional<uint64_t> read(uint32_t offset, uint8_t size_bytes) const;
  // Property Set of CC.
  Action write_cc(uint32_t cc);
  // Property Set of CSTS: a one clears NSSRO. True: it was set.
  bool write_csts(uint32_t csts);
  // CAP.NSSRS: NSSR, and CSTS.NSSRO, may be written.
  bool supports_subsystem_reset() const { return reset_ != SubsystemReset::NotSupported; }
  // CSTS.CFS: nothing but a reset helps.
  void fail() { state_ = State::Failed; }

  // CSTS.RDY is set and no shutdown has been asked for: commands may run.
  bool ready() const { return state_ == State::Ready; }
  uint32_t csts() const;

 private:
  enum class State : uint8_t { Disabled, Ready, ShutDown, Failed };
  enum class Change : uint8_t { Enable, Disable, ShutDown };
  struct Transition {
    State from;
    Change change;
    State to;
    Action action;
  };
  static const Transition kTransitions[];

  Action apply(Change change);
  bool acceptable(uint32_t cc) const;

  uint64_t cap_;
  uint32_t cc_ = 0;
  State state_ = State::Disabled;
  bool io_controller_;
  SubsystemReset reset_;
};

}  // namespace nvmf::core
