#include <zsync/sched/dump.hpp>

#include <zsync/sched/picture.hpp>
#include <zsync/sched/plain_text.hpp>
#include <zsync/sched/symbols.hpp>

#include <ostream>

namespace zsync::detail {
namespace {

class json_writer {
 public:
  json_writer(const picture& seen, std::ostream& out) : seen_(seen), out_(out) {}

  void write() {
    heading();
    workers();
    text_ << ",\n \"fibers\": [";
    for (unsigned i = 0; i < seen_.workers.size(); ++i) {
      const worker_view& one = seen_.workers[i];
      if (one.answered) {
        for (const fiber_record& f : one.answer.fibers) fiber(f, i, one.answer.frames.data());
      } else if (one.sampled && one.sample.in_fiber) {
        fiber(one.sample, i);
      }
    }
    text_ << "],\n \"waiting_for_each_other\": [";
    for (const wait_cycle& cycle : seen_.cycles) {
      text_ << (&cycle == &seen_.cycles.front() ? "" : ", ");
      write(cycle);
    }
    text_ << "]}\n";
    text_.write_to(out_);
  }

 private:
  plain_text& key(const char* name) { return text_ << ", \"" << name << "\": "; }
  void string(const char* name, std::string_view value) { key(name).add_json(value); }
  void address(const char* name, const void* value) { key(name) << '"' << value << '"'; }

  void heading() {
    const runtime_stats& figures = seen_.figures;
    (text_ << "{\"runtime\": ").add_json(seen_.name);
    string("backend", to_string(figures.backend));
    string("scheduling", to_string(figures.policy));
    key("fibers_alive") << figures.fibers_alive;
    key("fibers_spawned") << figures.fibers_spawned;
    key("newborn_for_any_worker") << seen_.injected;
  }

  void workers() {
    text_ << ",\n \"workers\": [";
    for (unsigned i = 0; i < seen_.workers.size(); ++i) {
      const worker_view& one = seen_.workers[i];
      text_ << (i == 0 ? "" : ", ") << "{\"worker\": " << i;
      key("answered") << (one.answered ? "true" : "false");
      if (one.answered) {
        key("ready") << one.answer.ready;
        key("newborn") << one.answer.newborns;
        if (one.answer.cut_short) key("cut_short") << "true";
      }
      text_ << '}';
    }
    text_ << ']';
  }

  void begin_fiber(std::uint64_t id, std::string_view name, unsigned worker, const char* state,
                   bool cancelling) {
    text_ << (first_fiber_ ? "\n  {" : ",\n  {") << "\"id\": " << id;
    first_fiber_ = false;
    string("name", name);
    key("worker") << worker;
    key("state") << '"' << state << '"';
    key("cancellation_requested") << (cancelling ? "true" : "false");
  }

  void end_fiber(const void* spawned_at, std::size_t stack_size, const void* const* from,
                 const void* const* to) {
    string("spawned_at", symbols_(spawned_at));
    key("stack_size") << stack_size;
    key("stack") << '[';
    for (const auto* at = from; at != to; ++at) (text_ << (at == from ? "" : ", ")).add_json(symbols_(*at));
    text_ << "]}";
    text_.write_to(out_);
  }

  void fiber(const worker_sample& f, unsigned worker) {
    begin_fiber(f.id, f.name, worker, "running", f.cancelling);
    end_fiber(f.spawned_at, f.stack_size, f.frames, f.frames + f.frames_count);
  }

  void fiber(const fiber_record& f, unsigned worker, const void* const* frames) {
    const bool waits = f.state == fiber_state::waiting;
    begin_fiber(f.id, f.name, worker,
                waits                           ? "waiting"
                : f.state == fiber_state::ready ? "ready"
                                                : "running",
                f.cancelling);
    if (waits) wait(f);
    if (f.group != nullptr) address("task_group", f.group);
    end_fiber(f.spawned_at, f.stack_size, frames + f.frames_begin, frames + f.frames_end);
  }

  void wait(const fiber_record& f) {
    key("wait") << '{';
    subject(f.why, f.on);
    key("seconds") << seen_.taken - f.since;
    if (!f.until.is_never()) key("until_seconds") << f.until.time() - seen_.taken;
    if (f.details != nullptr) about(*f.details);
    text_ << '}';
  }

  void subject(wait_kind why, const void* on) {
    (text_ << "\"for\": ").add_json(to_string(why));
    if (on != nullptr) address("object", on);
  }

  void about(const wait_details& of) {
    if (of.fiber != 0) key("fiber") << of.fiber;
    if (of.children) key("children") << *of.children;
    if (of.holder != 0) holder(of.holder);
    if (of.readers != 0) key("readers") << of.readers;
    if (of.channel) fill(*of.channel);
    if (of.fd >= 0) key("fd") << static_cast<unsigned>(of.fd);
    if (!of.local.empty()) string("local", of.local);
    if (!of.peer.empty()) string("peer", of.peer);
    if (of.parts.empty()) return;
    key("cases") << '[';
    for (const wait_details::part& part : of.parts) {
      text_ << (&part == &of.parts.front() ? "{" : ", {");
      subject(part.why, part.on);
      about(part.details);
      text_ << '}';
    }
    text_ << ']';
  }

  void holder(std::uintptr_t self) {
    key("held_by") << '{';
    if (const fiber_record* const known = seen_.by_address(self)) {
      text_ << "\"id\": " << known->id;
      string("name", known->name);
    }
    text_ << '}';
  }

  void fill(const channel_fill& of) {
    key("channel") << "{\"size\": " << of.size << ", \"capacity\": ";
    if (of.capacity) {
      text_ << *of.capacity;
    } else {
      text_ << "null";
    }
    text_ << ", \"closed\": " << (of.closed ? "true}" : "false}");
  }

  void write(const wait_cycle& cycle) {
    text_ << '[';
    for (const wait_step& step : cycle) {
      text_ << (&step == &cycle.front() ? "" : ", ") << "{\"id\": " << step.id;
      string("name", step.name);
      text_ << ", ";
      subject(step.why, step.on);
      text_ << '}';
    }
    text_ << ']';
  }

  const picture& seen_;
  std::ostream& out_;
  plain_text text_;
  symbols symbols_;
  bool first_fiber_ = true;
};

}  // namespace

void write_json(const picture& seen, std::ostream& out) { json_writer(seen, out).write(); }

}  // namespace zsync::detail
