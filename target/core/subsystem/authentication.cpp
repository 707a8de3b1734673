#include "target/core/subsystem/authentication.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/reactor/invariant.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

using nvme::AuthExplanation;
using nvme::AuthId;
using nvme::AuthType;
using nvme::DhchapHash;
using nvme::DhGroup;

constexpr std::array kHashesByStrength = {DhchapHash::Sha512, DhchapHash::Sha384, DhchapHash::Sha256};
// Where the operator asks for none: the smallest is strong enough, and NULL is for hosts that have nothing else.
constexpr std::array kGroupsByPreference = {DhGroup::Ffdhe2048, DhGroup::Ffdhe3072, DhGroup::Ffdhe4096,
                                            DhGroup::Ffdhe6144, DhGroup::Ffdhe8192, DhGroup::Null};

// The first of `wanted` that the host offers.
template <class Choice>
std::optional<Choice> first_offered(std::span<const Choice> wanted, std::span<const uint8_t> offered) {
  const auto is_offered = [&](Choice choice) {
    return std::ranges::find(offered, static_cast<uint8_t>(choice)) != offered.end();
  };
  const auto found = std::ranges::find_if(wanted, is_offered);
  return found == wanted.end() ? std::nullopt : std::optional(*found);
}

template <class Choice, size_t count>
std::optional<Choice> choose_from(const std::optional<Choice>& configured, const std::array<Choice, count>& otherwise,
                                  std::span<const uint8_t> offered) {
  return configured ? first_offered<Choice>({&*configured, 1}, offered) : first_offered<Choice>(otherwise, offered);
}

template <class Structure>
Structure read(std::span<const std::byte> message) {
  Structure structure;
  std::memcpy(&structure, message.data(), sizeof structure);
  return structure;
}

template <class Structure>
void append(std::vector<std::byte>& message, const Structure& structure) {
  const auto* const begin = reinterpret_cast<const std::byte*>(&structure);
  message.insert(message.end(), begin, begin + sizeof structure);
}

void append(std::vector<std::byte>& message, const std::vector<uint8_t>& bytes) {
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes.data());
  message.insert(message.end(), begin, begin + bytes.size());
}

std::vector<uint8_t> copy_of(std::span<const std::byte> bytes) {
  std::vector<uint8_t> copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy;
}

nvme::AuthHeader header(AuthType type, AuthId id, uint16_t t_id) {
  return {.auth_type = static_cast<uint8_t>(type), .auth_id = static_cast<uint8_t>(id), .reserved2 = 0, .t_id = t_id};
}

bool is(const nvme::AuthHeader& found, AuthType type, AuthId id) {
  return found.auth_type == static_cast<uint8_t>(type) && found.auth_id == static_cast<uint8_t>(id);
}

// A transaction of the same host and subsystem, without any value of the former one.
DhchapTransaction next_after(const DhchapTransaction& former) {
  DhchapTransaction next;
  next.hostnqn = former.hostnqn;
  next.subsysnqn = former.subsysnqn;
  next.address = former.address;
  return next;
}

// The operator may have taken the key off the list while the transaction went on.
bool is_still_right(const Controller& controller, const DhchapTransaction& transaction) {
  return controller.subsystem().credentials_of(transaction.hostnqn).has(*transaction.matched.host);
}

constexpr const char* kKeyHasGone = "its key was taken off the host's keys while it authenticated";

constexpr const char* kTooMuchWaits =
    "too many hosts of its address are waiting to be authenticated; the host may try again";

// Why the connection ends.
constexpr const char* kHasFailed = "authentication failed";

constexpr std::chrono::milliseconds kTimeout(limits::kAuthenticationTimeoutMs);

}  // namespace

const char* name_of(AuthenticationFailure failure) {
  static constexpr std::array<const char*, kAuthenticationFailures> kNames = {
      "wrong_response", "no_key", "protocol", "host_rejected", "timeout", "internal", "abandoned"};
  static_assert(kAuthenticationFailures == static_cast<size_t>(AuthenticationFailure::Abandoned) + 1);
  return kNames[static_cast<size_t>(failure)];
}

Authentication::Authentication(Controller& controller, Queue& queue) : controller_(controller), queue_(queue) {
  transaction_.hostnqn = controller.host().nqn;
  transaction_.subsysnqn = controller.subsysnqn();
  transaction_.address = address_of(controller.peer());
  start_timer(kTimeout);
}

bool Authentication::has_failed() const {
  return state_ == State::DelaysFailure1 || state_ == State::HasFailure1 || state_ == State::Over;
}

// The host's time ---------------------------------------------------------------------------------------------------

void Authentication::start_timer(std::chrono::milliseconds timeout) {
  due_ = Clock::now() + timeout;
  controller_.subsystem().target().deadline_set(*due_);
}

// Nobody waits for a host that is authenticated and has begun nothing. What the target takes itself is no time of the
// host's.
void Authentication::go_to(State state) {
  const bool was_targets_turn = is_targets_turn();
  state_ = state;
  if (state == State::Idle) transaction_ = next_after(transaction_);
  if (state == State::Over || (state == State::Idle && done_once_)) due_.reset();
  if (is_targets_turn() == was_targets_turn) return;
  if (!was_targets_turn) {
    targets_turn_since_ = Clock::now();
  } else if (due_) {
    *due_ += Clock::now() - targets_turn_since_;
    controller_.subsystem().target().deadline_set(*due_);
  }
}

std::optional<Authentication::Clock::time_point> Authentication::deadline() const {
  if (state_ == State::DelaysFailure1) return delay_end_;
  return is_busy() ? std::nullopt : due_;
}

void Authentication::expire(Clock::time_point now) {
  if (const auto next = deadline(); !next || *next > now) return;
  if (state_ == State::DelaysFailure1) {
    go_to(State::HasFailure1);
    return end_send();
  }
  if (done_once_ && state_ != State::HasFailure1) {
    timed_out_ = transaction_.t_id;
    return go_to(State::Idle);
  }
  const bool is_told = state_ == State::HasFailure1;
  if (!is_told)
    controller_.authentication_failed(
        queue_, AuthenticationFailure::TimedOut,
        "it has not authenticated within " + std::to_string(kTimeout / std::chrono::seconds(1)) + " s");
  go_to(State::Over);
  end_connection(is_told ? kHasFailed : "the host has not authenticated in time");
}

void Authentication::abandoned() {
  if (done_once_ || has_failed()) return;
  go_to(State::Over);
  controller_.authentication_failed(queue_, AuthenticationFailure::Abandoned,
                                    "the host has given up, or its connection was lost, before the authentication was "
                                    "done. A host without a key gives up: see nvme connect --dhchap-secret");
}

// What the target does for a host, and when ---------------------------------------------------------------------------

// Only while it is not known whether the host is who it says that it is: no stranger of the same address may keep a
// host from what it has. An I/O queue is that of a host whose admin queue is authenticated.
std::string Authentication::obstacle() const {
  if (done_once_ || queue_.qid != 0) return {};
  const Target& target = controller_.subsystem().target();
  if (!target.failed_attempts.is_refused(transaction_.address, Clock::now())) return {};
  return "hosts of the address have failed to authenticate too often";
}

bool Authentication::may_begin_again() {
  constexpr std::chrono::milliseconds kEach(limits::kRenegotiationMs);
  const auto now = Clock::now();
  const auto until = std::max(renegotiated_until_, now) + kEach;
  if (until > now + limits::kRenegotiationBurst * kEach) return false;
  renegotiated_until_ = until;
  return true;
}

void Authentication::put_off(const std::string& rule) {
  controller_.tell(Severity::Warning, EventKind::Authentication,
                   "put off the authentication of queue " + std::to_string(queue_.qid) + " of " +
                       controller_.description() + ": " + rule);
  if (Done done = std::exchange(send_done_, nullptr)) done(NVME_SC_INTERNAL);
}

// Authentication Send ------------------------------------------------------------------------------------------------

void Authentication::take(std::span<const std::byte> message, Done done) {
  if (is_busy() || has_failed() || is_too_late(message)) return done(Status(NVME_SC_CMD_SEQ_ERROR).do_not_retry());
  send_done_ = std::move(done);
  if (message.size() < sizeof(nvme::AuthHeader)) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its message is too short");
    return end_send();
  }
  const auto head = read<nvme::AuthHeader>(message);
  if (is(head, AuthType::Common, AuthId::Negotiate)) return take_negotiate(message);
  const bool has_transaction = state_ != State::Idle;
  if (has_transaction && head.t_id != transaction_.t_id) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its message belongs to another transaction (T_ID)");
  } else if (has_transaction && is(head, AuthType::Common, AuthId::Failure2)) {
    take_failure2(message);
  } else if (state_ == State::AwaitsReply && is(head, AuthType::DhHmacChap, AuthId::Reply)) {
    return take_reply(message);
  } else if (state_ == State::AwaitsSuccess2 && is(head, AuthType::DhHmacChap, AuthId::Success2)) {
    take_success2();
  } else {
    fail_protocol(AuthExplanation::IncorrectMessage, "its message is not the one that is due");
  }
  end_send();
}

// Of a transaction that has timed out: NVMe Base 2.1, section 8.3.4.2.1.
bool Authentication::is_too_late(std::span<const std::byte> message) const {
  if (state_ != State::Idle || !timed_out_ || message.size() < sizeof(nvme::AuthHeader)) return false;
  const auto head = read<nvme::AuthHeader>(message);
  return head.t_id == *timed_out_ && !is(head, AuthType::Common, AuthId::Negotiate);
}

// What a message leads to comes after the command that brought it, so that the host reads the command's answer.
void Authentication::end_send() {
  if (state_ == State::DelaysFailure1) return;
  if (Done done = std::exchange(send_done_, nullptr)) done(kSuccess);
  if (state_ == State::Over && !end_reason_.empty()) end_connection(std::exchange(end_reason_, {}));
}

void Authentication::take_negotiate(std::span<const std::byte> message) {
  if (done_once_ && !may_begin_again())
    return put_off_negotiation("the queue authenticates again and again; the host may try again in " +
                               std::to_string(limits::kRenegotiationMs / 1000) + " s");
  timed_out_.reset();
  transaction_ = next_after(transaction_);
  transaction_.t_id = message.size() < sizeof(nvme::AuthNegotiate) ? 0 : read<nvme::AuthHeader>(message).t_id;
  if (!done_once_ && ++negotiations_ > limits::kMaxNegotiations) {
    fail_protocol(AuthExplanation::IncorrectMessage, "it begins again and again, and never ends a transaction");
    return end_send();
  }
  const size_t descriptors_bytes = message.size() < sizeof(nvme::AuthNegotiate)
                                       ? 0
                                       : read<nvme::AuthNegotiate>(message).napd * sizeof(nvme::DhchapDescriptor);
  if (descriptors_bytes == 0 || message.size() < sizeof(nvme::AuthNegotiate) + descriptors_bytes) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its AUTH_Negotiate message is too short");
    return end_send();
  }
  if (read<nvme::AuthNegotiate>(message).sc_c != 0) {
    fail_protocol(AuthExplanation::SecureChannelMismatch, "it asks for a secure channel, which RDMA does not have");
    return end_send();
  }
  std::optional<nvme::DhchapDescriptor> offered;
  for (size_t at = 0; at < descriptors_bytes && !offered; at += sizeof(nvme::DhchapDescriptor)) {
    const auto one = read<nvme::DhchapDescriptor>(message.subspan(sizeof(nvme::AuthNegotiate) + at));
    if (one.authid == nvme::kDhchapAuthid) offered = one;
  }
  if (!offered) {
    fail_protocol(AuthExplanation::ProtocolNotUsable, "it does not offer DH-HMAC-CHAP");
    return end_send();
  }
  if (!choose(*offered) || !has_key()) return end_send();
  if (const std::string rule = obstacle(); !rule.empty()) return put_off_negotiation(rule);
  if (done_once_) start_timer(kTimeout);
  go_to(State::MakesChallenge);
  transaction_.s1 = controller_.subsystem().target().next_authentication_seqnum();
  const bool begun = controller_.subsystem().target().dhchap_crypto->make_challenge(transaction_, [this] {
    if (state_ != State::MakesChallenge) return end_send();  // it was given up meanwhile
    if (transaction_.c1.empty())
      fail(AuthenticationFailure::Internal, AuthExplanation::AuthenticationFailed, "OpenSSL cannot make a challenge");
    else
      go_to(State::HasChallenge);
    end_send();
  });
  if (!begun) put_off_negotiation(kTooMuchWaits);
}

// Hosts repeat it: it is none of those that are too many.
void Authentication::put_off_negotiation(const std::string& rule) {
  if (!done_once_) --negotiations_;
  go_to(State::Idle);
  put_off(rule);
}

bool Authentication::has_key() {
  const std::vector<HostKeys> keys = controller_.subsystem().credentials_of(transaction_.hostnqn).keys;
  if (std::ranges::any_of(keys, [](const HostKeys& pair) { return pair.host != nullptr; })) return true;
  fail(AuthenticationFailure::NoKey, AuthExplanation::AuthenticationFailed,
       "the target could not read any \"key_file\" of the host; see the messages of the start or of the last reload");
  return false;
}

bool Authentication::choose(const nvme::DhchapDescriptor& offered) {
  if (offered.halen > sizeof offered.hashes || offered.dhlen > sizeof offered.groups) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its AUTH_Negotiate message has lists that are too long");
    return false;
  }
  const HostCredentials credentials = controller_.subsystem().credentials_of(transaction_.hostnqn);
  const auto hash = choose_from(credentials.hash, kHashesByStrength, {offered.hashes, offered.halen});
  const auto group = choose_from(credentials.group, kGroupsByPreference, {offered.groups, offered.dhlen});
  if (!hash) {
    fail_protocol(AuthExplanation::HashNotUsable, "it does not offer the hash function (\"dhchap_hash\")");
    return false;
  }
  if (!group) {
    fail_protocol(AuthExplanation::DhGroupNotUsable, "it does not offer the group (\"dhchap_group\")");
    return false;
  }
  transaction_.hash = *hash;
  transaction_.group = *group;
  return true;
}

void Authentication::take_reply(std::span<const std::byte> message) {
  const size_t hl = nvme::hash_length_bytes(transaction_.hash);
  const size_t dhvlen = nvme::dh_value_length_bytes(transaction_.group);
  if (message.size() < sizeof(nvme::DhchapReply) + 2 * hl + dhvlen) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its DH-HMAC-CHAP_Reply message is too short");
    return end_send();
  }
  const auto reply = read<nvme::DhchapReply>(message);
  const bool asks_for_r2 = reply.cvalid == 1;
  if (reply.hl != hl || reply.dhvlen != dhvlen || reply.cvalid > 1 || (asks_for_r2 && reply.seqnum == 0)) {
    fail_protocol(AuthExplanation::IncorrectPayload, "its DH-HMAC-CHAP_Reply message has a wrong field");
    return end_send();
  }
  message = message.subspan(sizeof(nvme::DhchapReply));
  transaction_.r1 = copy_of(message.first(hl));
  transaction_.c2 = asks_for_r2 ? copy_of(message.subspan(hl, hl)) : std::vector<uint8_t>();
  transaction_.host_dh_value = copy_of(message.subspan(2 * hl, dhvlen));
  transaction_.s2 = reply.seqnum;
  const bool own_dh_value = dhvlen != 0 && transaction_.host_dh_value == transaction_.controller_dh_value;
  if (transaction_.c2 == transaction_.c1 || own_dh_value) {
    fail(AuthenticationFailure::WrongResponse, AuthExplanation::AuthenticationFailed,
         "it returns the target's own challenge or DH value");
    return end_send();
  }
  if (!has_key()) return end_send();
  if (const std::string rule = obstacle(); !rule.empty()) return put_off(rule);
  transaction_.keys = controller_.subsystem().credentials_of(transaction_.hostnqn).keys;
  go_to(State::ChecksReply);
  const bool begun = controller_.subsystem().target().dhchap_crypto->check_reply(transaction_, [this] {
    if (state_ == State::ChecksReply) reply_checked();  // else it was given up meanwhile
    end_send();
  });
  if (begun) return;
  go_to(State::AwaitsReply);
  put_off(kTooMuchWaits);
}

void Authentication::reply_checked() {
  using Verdict = DhchapTransaction::Verdict;
  switch (transaction_.verdict) {
    case Verdict::Right:
      return go_to(State::HasSuccess1);
    case Verdict::WrongResponse:
      return fail(AuthenticationFailure::WrongResponse, AuthExplanation::AuthenticationFailed,
                  "it has another key than \"key_file\"");
    case Verdict::InvalidDhValue:
      return fail_protocol(AuthExplanation::IncorrectPayload, "its DH value is none of the group");
    case Verdict::NoControllerKey:
      return fail(AuthenticationFailure::NoKey, AuthExplanation::AuthenticationFailed,
                  "it wants the controller to authenticate, too, and it has no \"controller_key_file\"");
    case Verdict::Failed:
      return fail(AuthenticationFailure::Internal, AuthExplanation::AuthenticationFailed,
                  "OpenSSL cannot check its response");
  }
}

void Authentication::take_success2() {
  if (is_still_right(controller_, transaction_)) return authenticated();
  fail(AuthenticationFailure::WrongResponse, AuthExplanation::AuthenticationFailed, kKeyHasGone);
}

// The host has not accepted the controller's response, or gives up. What was authenticated before executes nothing from
// now on, not only from the moment at which this is answered.
void Authentication::take_failure2(std::span<const std::byte> message) {
  const int explanation = message.size() < sizeof(nvme::AuthFailure) ? 0 : read<nvme::AuthFailure>(message).explanation;
  const std::string rule =
      "the host ended the authentication with AUTH_Failure2, reason code explanation " + std::to_string(explanation) +
      (state_ == State::AwaitsSuccess2 ? ": it has another controller key than \"controller_key_file\"" : "");
  controller_.authentication_failed(queue_, AuthenticationFailure::HostRejected, rule);
  end_reason_ = kHasFailed;
  go_to(State::Over);
  if (done_once_) controller_.fail_after_answer(queue_, kHasFailed);
}

// Authentication Receive ---------------------------------------------------------------------------------------------

Authentication::Given Authentication::give(size_t room_bytes) {
  if (state_ == State::HasSuccess1 && !is_still_right(controller_, transaction_))
    fail(AuthenticationFailure::WrongResponse, AuthExplanation::AuthenticationFailed, kKeyHasGone);
  std::vector<std::byte> message;
  if (state_ == State::HasChallenge) message = challenge();
  if (state_ == State::HasSuccess1) message = success1();
  if (state_ == State::HasFailure1) message = failure1();
  if (message.empty()) return {.status = Status(NVME_SC_CMD_SEQ_ERROR).do_not_retry(), .message = {}};
  if (message.size() > room_bytes) return {.status = Status(NVME_SC_INVALID_FIELD).do_not_retry(), .message = {}};
  if (state_ == State::HasChallenge) {
    go_to(State::AwaitsReply);
  } else if (state_ == State::HasFailure1) {
    end_reason_ = kHasFailed;
    go_to(State::Over);
  } else if (transaction_.c2.empty()) {
    authenticated();
  } else {
    go_to(State::AwaitsSuccess2);
  }
  return {.status = kSuccess, .message = std::move(message)};
}

void Authentication::sent() {
  if (state_ == State::Over && !end_reason_.empty()) end_connection(std::exchange(end_reason_, {}));
}

std::vector<std::byte> Authentication::challenge() const {
  std::vector<std::byte> message;
  append(message, nvme::DhchapChallenge{
                      .header = header(AuthType::DhHmacChap, AuthId::Challenge, transaction_.t_id),
                      .hl = static_cast<uint8_t>(transaction_.c1.size()),
                      .reserved7 = 0,
                      .hashid = static_cast<uint8_t>(transaction_.hash),
                      .dhgid = static_cast<uint8_t>(transaction_.group),
                      .dhvlen = static_cast<uint16_t>(transaction_.controller_dh_value.size()),
                      .seqnum = transaction_.s1,
                  });
  append(message, transaction_.c1);
  append(message, transaction_.controller_dh_value);
  return message;
}

std::vector<std::byte> Authentication::success1() const {
  std::vector<std::byte> message;
  append(message, nvme::DhchapSuccess1{
                      .header = header(AuthType::DhHmacChap, AuthId::Success1, transaction_.t_id),
                      .hl = static_cast<uint8_t>(nvme::hash_length_bytes(transaction_.hash)),
                      .reserved7 = 0,
                      .rvalid = static_cast<uint8_t>(transaction_.c2.empty() ? 0 : 1),
                      .reserved9 = {},
                  });
  append(message, transaction_.r2);
  return message;
}

std::vector<std::byte> Authentication::failure1() const {
  std::vector<std::byte> message;
  append(message, nvme::AuthFailure{.header = header(AuthType::Common, AuthId::Failure1, transaction_.t_id),
                                    .reason = nvme::kAuthenticationFailure,
                                    .explanation = static_cast<uint8_t>(explanation_)});
  return message;
}

// The ends ------------------------------------------------------------------------------------------------------------

// A limit may keep a host out that is who it says that it is.
void Authentication::authenticated() {
  matched_ = transaction_.matched;
  end_reason_ = controller_.authenticated(queue_);
  if (!end_reason_.empty()) return go_to(State::Over);
  done_once_ = true;
  go_to(State::Idle);
}

// The rule is for the operator; the host is told no more than the explanation.
void Authentication::fail(AuthenticationFailure failure, AuthExplanation explanation, const std::string& rule) {
  explanation_ = explanation;
  const auto delay = controller_.authentication_failed(queue_, failure, rule);
  const bool is_delayed = delay.count() != 0 && send_done_;
  go_to(is_delayed ? State::DelaysFailure1 : State::HasFailure1);
  if (is_delayed) {
    delay_end_ = Clock::now() + delay;
    controller_.subsystem().target().deadline_set(delay_end_);
  }
  if (done_once_)
    end_association();
  else if (!due_)
    start_timer(kTimeout);
}

// NVMe Base 2.1, section 8.3.4.5.1: AUTH_Failure1 ends the connection, as does a first authentication that takes too
// long (8.3.4.2.1). With the admin queue's the association ends. Of an I/O queue that was never authenticated nobody
// knows whether its host is the controller's, so that the controller loses nothing with it.
void Authentication::end_connection(const std::string& reason) {
  if (queue_.qid == 0 || done_once_) return controller_.fail(reason);
  controller_.end_io_queue(queue_, reason);
}

// Of a queue that was authenticated. NVMe Base 2.1, section 8.3.4.2.1, terminates all commands and ends the connection
// when AUTH_Failure1 has been sent. An association ends with any connection of a host that does not support the
// deletion of single I/O queues (3.1.2, 3.3.2.4), and Linux does not. The host may let AUTH_Failure1 lie: nothing is
// executed for it meanwhile, and it has not long. Commands are dropped with their connection instead of ended with
// Operation Denied: Linux repeats the latter on the same path until they are errors for its user, and takes another
// path when the connection ends.
void Authentication::end_association() {
  start_timer(std::chrono::milliseconds(limits::kLastAnswersTimeoutMs));
  controller_.fail_after_answer(queue_, kHasFailed);
}

}  // namespace nvmf::core
