// In-band authentication of one queue (DH-HMAC-CHAP): NVMe Base 2.1, section 8.3.4.5. Control thread only.
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
// What breaks a rule leads to HasFailure1, and its AUTH_Failure1 to the end of the connection, and with an admin queue
// of the controller. An I/O queue that was never authenticated ends alone: nobody knows whose it is. On a queue that
// was authenticated the controller ends at once, and waits with the last connection until the host has AUTH_Failure1.
// The Authentication Send command of a message is completed when the message has been dealt with, so the queue stays
// while a worker has the transaction. A new AUTH_Negotiate begins a new transaction, also on a queue that is
// authenticated: that goes on executing commands unless the transaction fails.
//
// What the target will not do for the host now (its address has failed too often, too much of the address waits for the
// worker, the queue authenticates again too often) ends the Authentication Send with Internal Error: the host may
// repeat it, and nothing else has changed.
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

  // The host has limits::kAuthenticationTimeoutMs from now on. `controller` and `queue` outlive it.
  Authentication(Controller& controller, Queue& queue);
  Authentication(const Authentication&) = delete;
  Authentication& operator=(const Authentication&) = delete;

  // Authentication Send. `done` is called once, now or later, with the command's status; before the queue or the
  // controller is ended for what the message says.
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
  // The connection has ended, or its host is silent: where the queue was not authenticated, that was an attempt.
  void abandoned();
  // The keys with which the host was authenticated last.
  const HostKeys& keys() const { return matched_; }

  // When to call expire() next; none: nothing is awaited.
  std::optional<Clock::time_point> deadline() const;
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
  // Whether there is a key with which a reply could be right.
  bool has_key();
  // Why the target will not work for the host now; empty: it will.
  std::string obstacle() const;
  bool may_begin_again();
  void put_off(const std::string& rule);
  void put_off_negotiation(const std::string& rule);
  bool has_failed() const;
  bool is_too_late(std::span<const std::byte> message) const;
  // The target takes its time, not the host.
  bool is_targets_turn() const { return is_busy() || state_ == State::DelaysFailure1; }
  void end_connection(const std::string& reason);
  void end_association();
  void start_timer(std::chrono::milliseconds timeout);
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
  std::string end_reason_;                // of the connection, when its end is due
  std::optional<Clock::time_point> due_;  // none: nothing is awaited of the host
  std::optional<uint16_t> timed_out_;     // T_ID of the last transaction on an authenticated queue, when it timed out
  Clock::time_point targets_turn_since_;
  Clock::time_point delay_end_;           // of DelaysFailure1
  Clock::time_point renegotiated_until_;  // each renegotiation moves it by limits::kRenegotiationMs
};

}  // namespace nvmf::core
