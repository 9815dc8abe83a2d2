// What a wait is about, beyond its kind and the address of its object: told by whoever knows the object, on
// the sleeper's worker, while it sleeps. Not a public header.
//
// Only objects that outlive every wait on them are looked at: a lock becomes the sleeper's before anybody may
// destroy it, a channel and a descriptor are counted, a task group is waited for by its owner. Of a latch, an
// event or a condition no more than the address is told, since whoever is woken first may destroy it.
#pragma once

#include <zsync/sched/wait.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zsync::detail {

struct channel_fill {
  std::size_t size = 0;
  std::optional<std::size_t> capacity;  // none: it grows
  bool closed = false;
};

struct wait_details {
  std::uintptr_t holder = 0;            // of a lock: see channel/owner.hpp
  std::size_t readers = 0;              // how many share the lock
  std::uint64_t fiber = 0;              // whose end is waited for
  std::optional<std::size_t> children;  // of the task group
  std::optional<channel_fill> channel;
  int fd = -1;
  std::string local, peer;  // addresses of the socket; empty where there are none

  // What a select waits for at once.
  struct part;
  std::vector<part> parts;
};

struct wait_details::part {
  wait_kind why{};
  const void* on = nullptr;
  wait_details details;
};

// Each for the kinds of its folder; declared here and defined there, as sched/ may know neither.
void describe_channel_wait(wait_kind why, const void* on, wait_details& into);
void describe_io_wait(wait_kind why, const void* on, wait_details& into);

// False: there is nothing to tell. Throws std::bad_alloc.
bool describe_subject(wait_kind why, const void* on, wait_details& into);

// nullptr: likewise.
std::unique_ptr<wait_details> describe_wait(const wait& of);

}  // namespace zsync::detail
