#include "transport/rdma/slot_ledger.h"

#include <doctest/doctest.h>

using namespace nvmf::rdma;

namespace {

struct Posted {
  SlotLedger ledger;
  ReceiveSlot slots[4];
  Posted() {
    for (ReceiveSlot& slot : slots) ledger.post(slot);
  }
};

}  // namespace

TEST_CASE("Slots are posted until they are reported, in any order") {
  Posted p;
  CHECK(p.ledger.posted() == 4);
  CHECK(p.ledger.newest() == 0);
  CHECK(p.ledger.report(p.slots[0]) == 1);
  CHECK(p.ledger.overdue() == 0);
  p.ledger.report(p.slots[2]);
  CHECK(p.ledger.newest() == 3);
  CHECK(p.ledger.overdue() == 1);
  p.ledger.report(p.slots[1]);
  CHECK(p.ledger.newest() == 3);
  CHECK(p.ledger.overdue() == 0);
  CHECK(p.ledger.posted() == 1);
  p.ledger.post(p.slots[0]);
  CHECK(p.slots[0].sequence == 5);
}

TEST_CASE("A slot is lost when every queue pair has reported a younger one, or came after that") {
  Posted p;
  p.ledger.report(p.slots[0]);
  p.ledger.report(p.slots[3]);
  CHECK(p.ledger.overdue() == 2);
  CHECK(p.ledger.is_lost(p.slots[1], 4));
  CHECK(p.ledger.is_lost(p.slots[2], 4));
  // One whose newest report is the first slot may have the second half of either message to come.
  CHECK_FALSE(p.ledger.is_lost(p.slots[1], 1));
  // One that has reported the third cannot hold the second.
  CHECK(p.ledger.is_lost(p.slots[1], 3));
  CHECK_FALSE(p.ledger.is_lost(p.slots[2], 2));
}

TEST_CASE("A slot that nobody has taken is not lost, nor is one that a command lies in") {
  Posted p;
  p.ledger.report(p.slots[0]);
  CHECK_FALSE(p.ledger.is_lost(p.slots[0], 100));
  CHECK_FALSE(p.ledger.is_lost(p.slots[1], 100));
}

TEST_CASE("A lost slot that is posted anew is the youngest") {
  Posted p;
  p.ledger.report(p.slots[1]);
  REQUIRE(p.ledger.is_lost(p.slots[0], 2));
  p.ledger.report(p.slots[0]);
  p.ledger.post(p.slots[0]);
  CHECK(p.slots[0].sequence == 5);
  CHECK(p.ledger.overdue() == 0);
  CHECK(p.ledger.posted() == 3);
}

TEST_CASE("Queue pairs that have gone may have taken slots, until a younger slot shows which") {
  Posted p;
  CHECK(p.ledger.in_doubt() == 0);
  p.ledger.queue_pair_gone();
  p.ledger.queue_pair_gone();
  CHECK(p.ledger.in_doubt() == 2);
  CHECK(p.ledger.overdue() == 0);
  p.ledger.report(p.slots[2]);
  CHECK(p.ledger.in_doubt() == 0);
  CHECK(p.ledger.overdue() == 2);
  p.ledger.queue_pair_gone();
  p.ledger.report(p.slots[1]);
  CHECK(p.ledger.in_doubt() == 1);
  p.ledger.report(p.slots[3]);
  CHECK(p.ledger.in_doubt() == 0);
}
