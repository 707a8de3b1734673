#include "target/core/reactor/intrusive_list.h"

#include <doctest/doctest.h>

#include <vector>

using nvmf::core::IntrusiveDoubleList;
using nvmf::core::IntrusiveList;

namespace {

struct Item {
  int number = 0;
  Item* next = nullptr;
};
using List = IntrusiveList<Item, &Item::next>;

std::vector<int> taken_from(List& list) {
  std::vector<int> numbers;
  while (const Item* item = list.pop()) numbers.push_back(item->number);
  return numbers;
}

struct Four {
  Item items[4] = {{1}, {2}, {3}, {4}};
  List list;
  Four() {
    for (Item& item : items) list.push(item);
  }
};

}  // namespace

TEST_CASE("What is pushed first comes first; what is pushed to the front before all") {
  Four f;
  Item first{0};
  f.list.push_front(first);
  CHECK(taken_from(f.list) == std::vector{0, 1, 2, 3, 4});
  CHECK(f.list.empty());
  CHECK(f.list.pop() == nullptr);
}

TEST_CASE("A list that was emptied in any way can be filled again") {
  Four f;
  SUBCASE("by pop") { taken_from(f.list); }
  SUBCASE("as a chain") { CHECK(f.list.take_all() == &f.items[0]); }
  SUBCASE("one by one") {
    for (Item& item : f.items) CHECK(f.list.remove(item));
  }
  SUBCASE("from the last to the first") {
    for (int i = 3; i >= 0; --i) CHECK(f.list.remove(f.items[i]));
  }
  CHECK(f.list.empty());
  Item front{5}, back{6};
  f.list.push_front(front);
  f.list.push(back);
  CHECK(taken_from(f.list) == std::vector{5, 6});
}

TEST_CASE("Removal at the start, in the middle and at the end keeps the others in order") {
  for (int gone = 0; gone < 4; ++gone) {
    CAPTURE(gone);
    Four f;
    CHECK(f.list.remove(f.items[gone]));
    CHECK_FALSE(f.list.remove(f.items[gone]));
    Item last{9};
    f.list.push(last);
    std::vector<int> expected;
    for (int i = 0; i < 4; ++i)
      if (i != gone) expected.push_back(i + 1);
    expected.push_back(9);
    CHECK(taken_from(f.list) == expected);
  }
}

TEST_CASE("Elements are taken out by what they are, and may be gone after that") {
  List list;
  for (int i = 1; i <= 6; ++i) list.push(*new Item{i});
  CHECK(list.take_if([](const Item& item) { return item.number % 2 == 0; }, [](Item& item) { delete &item; }) == 3);
  std::vector<int> left;
  while (Item* item = list.pop()) {
    left.push_back(item->number);
    delete item;
  }
  CHECK(left == std::vector{1, 3, 5});
}

namespace {

struct Member {
  int number = 0;
  Member* next = nullptr;
  Member* previous = nullptr;
  const void* list = nullptr;
};
using DoubleList = IntrusiveDoubleList<Member, &Member::next, &Member::previous, &Member::list>;

}  // namespace

TEST_CASE("An element leaves from anywhere in a list of both directions, and knows the list that it is in") {
  for (int gone = 0; gone < 4; ++gone) {
    CAPTURE(gone);
    Member members[5] = {{1}, {2}, {3}, {4}, {9}};
    DoubleList list, other;
    for (int i = 0; i < 4; ++i) list.push(members[i]);
    CHECK_FALSE(other.remove(members[gone]));
    CHECK(list.contains(members[gone]));
    CHECK(list.remove(members[gone]));
    CHECK_FALSE(list.contains(members[gone]));
    CHECK_FALSE(list.remove(members[gone]));
    other.push(members[gone]);
    list.push(members[4]);
    std::vector<int> expected;
    for (int i = 0; i < 5; ++i)
      if (i != gone) expected.push_back(members[i].number);
    std::vector<int> left;
    while (const Member* one = list.pop()) left.push_back(one->number);
    CHECK(left == expected);
    CHECK(list.empty());
    CHECK(other.pop() == &members[gone]);
    CHECK(other.empty());
  }
}
