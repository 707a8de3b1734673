// In-band authentication of one queue (DH-HMAC-CHAP): NVMe Base 2.1, section 8.3.5. Control thread only.
//
//   host sends                                        state                   target answers Authentication Receive
//                                                     Idle
//   AUTH_Negotiate ─────────────────► (on a worker)   MakesChallenge
//                                                     HasChallenge ───────►   DH-HMAC-CHAP_Challenge
//                                                     AwaitsReply
//   DH-HMAC-CHAP_Reply ─────────────► (on a worker)   ChecksReply
//                                                     HasSuccess1 ────────►   DH-HMAC-CHAP_Success1: Idle, or
//                                                     AwaitsSuccess2          when the host has asked for R2
//   DH-HMAC-CHAP_Success2 ──────────►                 Idle
//
// What breaks a rule leads to HasFailure1, and its AUTH_Failure1 to the end of the controller. The Authentication Send
// command of a message is completed when the message has been dealt with, so the queue stays while a worker has the
// transaction. A new AUTH_Negotiate begins a new transaction, also on a queue that is authenticated: that goes on
// executing commands unless the transaction fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "target/core/datapath/status.h"
#include "target/core/subsystem/dhchap.h"
#include "target/core/subsystem/keep_alive.h"
#include "target/core/subsystem/target_counters.h"

namespace nvmf::core {

class Controller;
struct Queue;

class Authentication {
 public:
  using Clock = KeepAlive::Clock;
  using Done = std::function<void(Status)>;

  // The host has its time from now on. `controller` and `queue` outlive it.
  Authentication(Controller& controller, Queue& queue);
  Authentication(const Authentication&) = delete;
  Authentication& operator=(const Authentication&) = delete;

  // Authentication Send. `done` is called once, now or later, with the command's status; before the controller is ended
  // for what the message says.
  void take(std::span<const std::byte> message, Done done);
  // Authentication Receive: the message, at most `room_bytes`, and the command's status where there is none. `sent`
  // must be called when the command is completed.
  struct Given {
    Status status;
    std::vector<std::byte> message;
  };
  Given give(size_t room_bytes);
  void sent();

  // The queue's host is who it says that it is.
  bool is_done() const { return done_once_; }
  // A worker has the transaction.
  bool is_busy() const { return state_ == State::MakesChallenge || state_ == State::ChecksReply; }
  // The keys with which the host was authenticated last.
  const HostKeys& keys() const { return matched_; }

  // When to call expire() next; none: nothing is awaited.
  std::optional<Clock::time_point> deadline() const { return deadline_; }
  void expire(Clock::time_point now);

 private:
  enum class State : uint8_t {
    Idle,
    MakesChallenge,
    HasChallenge,
    AwaitsReply,
    ChecksReply,
    HasSuccess1,
    AwaitsSuccess2,
    DelaysFailure1,
    HasFailure1,
    Over,
  };

  void take_negotiate(std::span<const std::byte> message);
  void take_reply(std::span<const std::byte> message);
  void take_success2();
  void take_failure2(std::span<const std::byte> message);
  void reply_checked();
  void authenticated();
  void fail(AuthenticationFailure failure, nvme::AuthExplanation explanation, const std::string& rule);
  void fail_protocol(nvme::AuthExplanation explanation, const std::string& rule) {
    fail(AuthenticationFailure::Protocol, explanation, rule);
  }
  bool choose(const nvme::DhchapDescriptor& offered);
  void go_to(State state);
  void end_send();
  std::vector<std::byte> challenge() const;
  std::vector<std::byte> success1() const;
  std::vector<std::byte> failure1() const;

  Controller& controller_;
  Queue& queue_;
  State state_ = State::Idle;
  DhchapTransaction transaction_;
  HostKeys matched_;
  Done send_done_;  // of the Authentication Send whose message is being dealt with
  bool done_once_ = false;
  uint32_t negotiations_ = 0;  // while done_once_ is false
  nvme::AuthExplanation explanation_ = nvme::AuthExplanation::AuthenticationFailed;
  std::string end_reason_;  // of the controller, when its end is due
  std::optional<Clock::time_point> deadline_;
};

}  // namespace nvmf::core
