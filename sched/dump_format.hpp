// How a dump is written.
#pragma once

#include <cstdint>

namespace zsync {

// text: for people. json: one object with `fibers`, an object for each, which the lines below show in full;
// names may be any bytes, what is no UTF-8 is replaced.
//
//   {"runtime": "zsync", "backend": "epoll", "scheduling": "pinned", "fibers_alive": 2, "fibers_spawned": 2,
//    "newborn_for_any_worker": 0,
//    "workers": [{"worker": 0, "answered": true, "ready": 0, "newborn": 0}],
//    "fibers": [
//      {"id": 1, "name": "a", "worker": 0, "state": "waiting", "cancellation_requested": false,
//       "wait": {"for": "mutex", "object": "0x7f00", "seconds": 1.250, "until_seconds": 3.000,
//                "held_by": {"id": 2, "name": "b"}},
//       "task_group": "0x7e00", "spawned_at": "main+0x1f (program+0x4a1f)", "stack_size": 262144,
//       "stack": ["zsync::mutex::lock()+0x1f (program+0x5b1f)"]}],
//    "waiting_for_each_other": [[{"id": 1, "name": "a", "for": "mutex", "object": "0x7f00"}, ...]]}
//
// A worker that did not answer has neither `ready` nor `newborn`; `cut_short` is there, and true, where there
// was no memory for all of its fibers. `state` is waiting, ready or running. A wait has, as it applies:
// `held_by` (its id is missing where the holder is a plain thread or a fiber of another runtime), `readers`,
// `fiber` (whose end is waited for), `children`, `channel` ({"size", "capacity" or null, "closed"}), `fd`,
// `local`, `peer`, and `cases` of a select, which are waits of their own. Each fiber of a circle waits for
// the next, and the last for the first.
enum class dump_format : std::uint8_t { text, json };

}  // namespace zsync
