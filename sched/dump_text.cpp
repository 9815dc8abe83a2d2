#include <zsync/sched/dump.hpp>

#include <zsync/sched/picture.hpp>
#include <zsync/sched/plain_text.hpp>
#include <zsync/sched/symbols.hpp>

#include <ostream>

namespace zsync::detail {
namespace {

class text_writer {
 public:
  text_writer(const picture& seen, std::ostream& out) : seen_(seen), out_(out) {}

  void write() {
    heading();
    for (unsigned i = 0; i < seen_.workers.size(); ++i) {
      const worker_view& one = seen_.workers[i];
      one.answered ? answered(i, one.answer) : unanswered(i, one);
    }
    for (const wait_cycle& cycle : seen_.cycles) write(cycle);
    text_.write_to(out_);
  }

 private:
  void heading() {
    const runtime_stats& figures = seen_.figures;
    (text_ << "runtime ").add_name(seen_.name)
        << ": " << figures.workers << " workers, " << to_string(figures.backend) << ", "
        << to_string(figures.policy) << "; " << figures.fibers_alive << " fibers alive, "
        << figures.fibers_spawned << " spawned\n";
    if (seen_.injected != 0) text_ << seen_.injected << " newborn for any worker\n";
  }

  void answered(unsigned index, const worker_listing& listing) {
    text_ << "worker " << index << ": " << listing.fibers.size() << " fibers, " << listing.newborns
          << " newborn\n";
    for (const fiber_record& f : listing.fibers) {
      fiber(f);
      for (std::size_t i = f.frames_begin; i < f.frames_end; ++i) frame(listing.frames[i]);
      text_.write_to(out_);
    }
    if (listing.cut_short) text_ << "  there is no memory for the others\n";
  }

  void unanswered(unsigned index, const worker_view& view) {
    const worker_sample& sample = view.sample;
    text_ << "worker " << index;
    if (!view.sampled) {
      text_ << " did not answer\n";
      return;
    }
    if (!sample.in_fiber) {
      text_ << " did not answer, and runs no fiber\n";
    } else {
      (text_ << " is running fiber " << sample.id << ' ').add_name(sample.name)
          << " and did not answer" << (sample.cancelling ? ", cancellation requested\n" : "\n");
      origin(sample.spawned_at, sample.stack_size);
    }
    for (std::size_t i = 0; i < sample.frames_count; ++i) frame(sample.frames[i]);
  }

  void fiber(const fiber_record& f) {
    (text_ << "  fiber " << f.id << ' ').add_name(f.name) << ": ";
    switch (f.state) {
      case fiber_state::running:
        text_ << "running";
        break;
      case fiber_state::ready:
        text_ << "ready";
        break;
      case fiber_state::waiting:
        waiting(f);
        break;
    }
    if (f.cancelling) text_ << ", cancellation requested";
    text_ << '\n';
    if (f.group != nullptr) text_ << "    of task group " << f.group << '\n';
    origin(f.spawned_at, f.stack_size);
  }

  void waiting(const fiber_record& f) {
    text_ << "waiting, " << to_string(f.why);
    if (f.on != nullptr) text_ << ' ' << f.on;
    if (f.details != nullptr) about(*f.details);
    text_ << ", for " << seen_.taken - f.since << " s";
    if (!f.until.is_never()) text_ << ", until in " << f.until.time() - seen_.taken << " s";
  }

  void about(const wait_details& of) {
    if (of.fiber != 0) {
      text_ << " of ";
      who(of.fiber, seen_.by_id(of.fiber));
    }
    if (of.children) text_ << " with " << *of.children << " children";
    if (of.holder != 0) holder(of.holder);
    if (of.readers != 0) text_ << " shared by " << of.readers;
    if (of.channel) fill(*of.channel);
    if (of.fd >= 0) descriptor(of);
    for (const wait_details::part& part : of.parts) {
      text_ << (&part == &of.parts.front() ? " {" : "; ") << to_string(part.why);
      if (part.on != nullptr) text_ << ' ' << part.on;
      about(part.details);
    }
    if (!of.parts.empty()) text_ << '}';
  }

  void who(std::uint64_t id, const fiber_record* known) {
    text_ << "fiber " << id;
    if (known != nullptr) (text_ << ' ').add_name(known->name);
  }

  void holder(std::uintptr_t self) {
    text_ << " held by ";
    if (const fiber_record* const known = seen_.by_address(self)) {
      who(known->id, known);
    } else {
      text_ << "a thread, or a fiber that is not listed here,";
    }
  }

  void fill(const channel_fill& of) {
    text_ << " (" << of.size;
    if (of.capacity) {
      text_ << " of " << *of.capacity;
    } else {
      text_ << " of any number";
    }
    text_ << " messages" << (of.closed ? ", closed)" : ")");
  }

  void descriptor(const wait_details& of) {
    text_ << " (descriptor " << static_cast<unsigned>(of.fd);
    if (!of.local.empty()) (text_ << ", local ").add_line(of.local);
    if (!of.peer.empty()) (text_ << ", peer ").add_line(of.peer);
    text_ << ')';
  }

  void origin(const void* spawned_at, std::size_t stack_size) {
    text_ << "    spawned at " << symbols_(spawned_at) << ", stack of " << stack_size / 1024 << " KiB\n";
  }

  void frame(const void* code) { text_ << "      " << symbols_(code) << '\n'; }

  void write(const wait_cycle& cycle) {
    text_ << "these wait for each other:\n";
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      const wait_step& step = cycle[i];
      const wait_step& next = cycle[i + 1 == cycle.size() ? 0 : i + 1];
      (text_ << "  fiber " << step.id << ' ').add_name(step.name) << " waits for ";
      if (step.why == wait_kind::join) {
        text_ << "the end of ";
      } else if (step.why == wait_kind::group) {
        text_ << "task group " << step.on << ", a child of which is ";
      } else {
        text_ << to_string(step.why) << ' ' << step.on << ", which is held by ";
      }
      (text_ << "fiber " << next.id << ' ').add_name(next.name) << '\n';
    }
  }

  const picture& seen_;
  std::ostream& out_;
  plain_text text_;
  symbols symbols_;
};

}  // namespace

void write_text(const picture& seen, std::ostream& out) { text_writer(seen, out).write(); }

}  // namespace zsync::detail
