#include <zsync/sched/wait_details.hpp>

#include <zsync/fiber/ordering.hpp>
#include <zsync/sched/task_group.hpp>

namespace zsync::detail {

bool describe_subject(wait_kind why, const void* on, wait_details& into) {
  if (on == nullptr) return false;
  switch (why) {
    case wait_kind::join:
      into.fiber = static_cast<const task*>(on)->id;
      return true;
    case wait_kind::group:
      into.children = static_cast<const task_group*>(on)->size();
      return true;
    case wait_kind::channel_send:
    case wait_kind::channel_receive:
    case wait_kind::mutex:
    case wait_kind::shared_mutex:
    case wait_kind::select:
      describe_channel_wait(why, on, into);
      return true;
    case wait_kind::io_read:
    case wait_kind::io_write:
    case wait_kind::io_accept:
    case wait_kind::io_connect:
    case wait_kind::io_other:
      describe_io_wait(why, on, into);
      return true;
    default:
      return false;
  }
}

std::unique_ptr<wait_details> describe_wait(const wait& of) {
  if (of.on() == nullptr) return nullptr;
  const checker::unseen reading;  // from the waiting fiber's stack, where all stays while it waits
  auto told = std::make_unique<wait_details>();
  if (!describe_subject(of.why(), of.on(), *told)) return nullptr;
  return told;
}

}  // namespace zsync::detail
