// First in, first out; linked through members of the elements, so that it allocates nothing. An element is in one list
// of a member at a time. One thread.
#pragma once

#include <utility>

#include "target/core/reactor/invariant.h"

namespace nvmf::core {

template <class Element, Element* Element::*next>
class IntrusiveList {
 public:
  bool empty() const { return first_ == nullptr; }
  // Null when it is empty.
  Element* front() const { return first_; }

  void push(Element& element) {
    element.*next = nullptr;
    (first_ == nullptr ? first_ : last_->*next) = &element;
    last_ = &element;
  }
  void push_front(Element& element) {
    element.*next = first_;
    if (first_ == nullptr) last_ = &element;
    first_ = &element;
  }
  // Null when it is empty.
  Element* pop() {
    Element* const taken = first_;
    if (taken != nullptr) first_ = taken->*next;
    return taken;
  }
  // Removes all elements, as a chain from the first.
  Element* take_all() { return std::exchange(first_, nullptr); }

  // False when it is not in the list.
  bool remove(const Element& element) {
    return take_if([&](const Element& one) { return &one == &element; }, [](Element&) {}) != 0;
  }
  // Removes each element that `is_wanted`, in order, and passes it to `taken`, which may free it. Returns their number.
  template <class Wanted, class Taken>
  unsigned take_if(Wanted is_wanted, Taken taken) {
    unsigned count = 0;
    Element* previous = nullptr;
    for (Element* one = first_; one != nullptr;) {
      Element* const after = one->*next;
      if (is_wanted(*one)) {
        (previous == nullptr ? first_ : previous->*next) = after;
        if (last_ == one) last_ = previous;
        taken(*one);
        ++count;
      } else {
        previous = one;
      }
      one = after;
    }
    return count;
  }

 private:
  Element* first_ = nullptr;
  Element* last_ = nullptr;  // valid while the list is not empty
};

// The same for elements that leave from anywhere, however long the list is: an element knows its neighbours and, by
// `list`, the list that it is in; null: none. Lists of other kinds may share that member.
template <class Element, Element* Element::*next, Element* Element::*previous, const void* Element::*list>
class IntrusiveDoubleList {
 public:
  IntrusiveDoubleList() = default;
  IntrusiveDoubleList(const IntrusiveDoubleList&) = delete;
  IntrusiveDoubleList& operator=(const IntrusiveDoubleList&) = delete;

  bool empty() const { return first_ == nullptr; }
  bool contains(const Element& element) const { return element.*list == this; }

  void push(Element& element) {
    NVMF_INVARIANT(element.*list == nullptr);
    element.*list = this;
    element.*next = nullptr;
    element.*previous = last_;
    (last_ == nullptr ? first_ : last_->*next) = &element;
    last_ = &element;
  }
  // Null when it is empty.
  Element* pop() {
    Element* const taken = first_;
    if (taken != nullptr) remove(*taken);
    return taken;
  }
  // False when it is not in the list.
  bool remove(Element& element) {
    if (!contains(element)) return false;
    (element.*previous == nullptr ? first_ : element.*previous->*next) = element.*next;
    (element.*next == nullptr ? last_ : element.*next->*previous) = element.*previous;
    element.*list = nullptr;
    return true;
  }

 private:
  Element* first_ = nullptr;
  Element* last_ = nullptr;
};

}  // namespace nvmf::core
