// Controller properties (CAP, VS, CC, CSTS, NSSR, CRTO) and the state machine behind CC and CSTS: NVMe Base 2.0,
// sections 3.1.3 and 3.5 to 3.7. Knows no queue: the controller acts on what write_cc() and quiesced() return.
//
// A reset (CC.EN to 0) and a shutdown (CC.SHN) are reported as complete no sooner than quiesced() says that no command
// can change the medium any more; until then CSTS.RDY stays 1, and CSTS.SHST says that the shutdown is occurring.
#pragma once

#include <cstdint>
#include <optional>

namespace nvmf::core {

class Properties {
 public:
  // What a change of state asks of the controller.
  enum class Action : uint8_t {
    None,
    Start,     // commands may run
    Quiesce,   // controller level reset: end what is outstanding, then call quiesced()
    ShutDown,  // the same, and in a normal shutdown have caches flushed before
    Reset,     // delete the I/O queues, bring all else back to its defaults
    Fail,      // CC has a value that CAP does not allow
  };

  static constexpr uint32_t kVersion = 0x20000;  // 2.0.0

  // Whether the controller supports NVM Subsystem Reset.
  enum class SubsystemReset : uint8_t {
    NotSupported,
    Supported,
    Occurred,  // supported, and its subsystem has been reset: CSTS.NSSRO is set until the host clears it
  };
  static constexpr uint32_t kNssrSignature = 0x4e564d65;  // "NVMe", which NSSR must be written with

  // `max_queue_depth`: entries. I/O controllers check the entry sizes in CC, discovery controllers do not.
  Properties(uint16_t max_queue_depth, bool io_controller, SubsystemReset reset = SubsystemReset::NotSupported);

  // The value of the property at `offset`; none when there is no such property of `size_bytes`.
  std::optional<uint64_t> read(uint32_t offset, uint8_t size_bytes) const;
  // Property Set of CC.
  Action write_cc(uint32_t cc);
  // After Quiesce or ShutDown: done. No effect when the controller has failed meanwhile: only another reset helps then.
  Action quiesced() { return apply(Change::Quiesced); }
  bool asks_normal_shutdown() const;
  // Property Set of CSTS: a one clears NSSRO. True: it was set.
  bool write_csts(uint32_t csts);
  // CAP.NSSRS: NSSR, and CSTS.NSSRO, may be written.
  bool supports_subsystem_reset() const { return reset_ != SubsystemReset::NotSupported; }
  // CSTS.CFS: only a reset helps. CSTS.RDY stays as it is: commands may still be at work.
  void fail() { apply(Change::Fail); }

  // CC.CSS: the host uses every I/O command set that the controller has; else the NVM command set alone.
  bool enables_all_command_sets() const;

  // CSTS.RDY is set, and neither reset nor shutdown has been asked for: commands may run.
  bool ready() const { return state_ == State::Ready; }
  uint32_t csts() const;

 private:
  enum class State : uint8_t {
    Disabled,
    Ready,
    Resetting,     // disabled by its host, commands of before are at work
    ShuttingDown,  // the same of a shutdown
    ShutDown,
    Failed,
  };
  enum class Change : uint8_t { Enable, Disable, ShutDown, Quiesced, Fail };
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
  bool rdy_ = false;  // CSTS.RDY
  bool io_controller_;
  SubsystemReset reset_;
};

}  // namespace nvmf::core
