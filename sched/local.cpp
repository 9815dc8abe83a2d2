#include <zsync/sched/local.hpp>

#include <zsync/sched/worker.hpp>

namespace zsync::detail {

// A list, the youngest first: programs have few such variables, and a short list beats a hash.
class local_table {
 public:
  local_table() = default;
  local_table(const local_table&) = delete;
  local_table& operator=(const local_table&) = delete;
  ~local_table() {
    while (local_value* const v = first) {
      first = v->next;
      v->destroy(*v);  // may use, and so make, others
    }
  }

  local_value* first = nullptr;
};

namespace {

local_table& thread_table() {
  thread_local local_table table;  // a plain thread's; a fiber never looks at it
  return table;
}

}  // namespace

local_value* find_local(const void* key) noexcept {
  const fiber_control* const fiber = current_fiber_but_root();
  local_value* v = fiber == nullptr           ? thread_table().first
                   : fiber->locals == nullptr ? nullptr
                                              : fiber->locals->first;
  while (v != nullptr && v->key != key) v = v->next;
  return v;
}

void add_local(local_value& value) try {
  fiber_control* const fiber = current_fiber_but_root();
  if (fiber != nullptr && fiber->locals == nullptr) fiber->locals = new local_table;
  local_table& table = fiber == nullptr ? thread_table() : *fiber->locals;
  value.next = table.first;
  table.first = &value;
} catch (...) {
  value.destroy(value);
  throw;
}

void destroy_locals(local_table* table) noexcept { delete table; }

}  // namespace zsync::detail
