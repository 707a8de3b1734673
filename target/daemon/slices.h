// Long work of the control thread in slices: after each, other work of the thread has its turn.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <utility>

namespace nvmf::daemon {

// Of work for each namespace, of which there may be thousands.
inline constexpr size_t kNamespacesPerTurn = 32;

// Calls visit(0) to visit(count - 1). What a visit refers to may have gone after an earlier one.
template <class Visit>
boost::asio::awaitable<void> in_slices(size_t count, Visit visit) {
  for (size_t i = 0; i < count; ++i) {
    visit(i);
    if ((i + 1) % kNamespacesPerTurn == 0) co_await boost::asio::post(boost::asio::use_awaitable);
  }
}

}  // namespace nvmf::daemon
