// A trace in the format that chrome://tracing has made known, from what the workers' recorders have kept.
//
// A worker records when a fiber stops. What ran from the end of one event to that, ran all that time; what
// comes to pass between two turns of a fiber is its wait, by the reason that it stopped for, up to its wake,
// and from there on it was ready.
#include <zsync/sched/trace.hpp>

#include <zsync/sched/plain_text.hpp>
#include <zsync/sched/recorder.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/symbols.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>

namespace zsync::detail {
namespace {

using moment = clock::time_point;

struct arrow {
  moment at;
  std::uint64_t id;
};

// A time on a track, with the arrows that begin in it.
struct slice {
  moment begin, end;
  std::string name;
  const char* category;
  const char* colour;
  std::string arguments{};  // members of a JSON object
  std::vector<arrow> out{};
  std::uint64_t in = 0;  // the arrow that ends at its begin; 0: none
};

struct turn {
  moment begin, end;
  unsigned worker;
  trace_event stopped;
};

struct look_of {
  const char* category;
  const char* colour;  // one of chrome://tracing's; Perfetto has colours of its own, by name
};

look_of look_of_wait(wait_kind why) {
  switch (why) {
    case wait_kind::sleep:
    case wait_kind::park:
      return {"time", "grey"};
    case wait_kind::mutex:
    case wait_kind::shared_mutex:
    case wait_kind::condition:
    case wait_kind::semaphore:
    case wait_kind::once:
      return {"lock", "terrible"};
    case wait_kind::io_read:
    case wait_kind::io_write:
    case wait_kind::io_accept:
    case wait_kind::io_connect:
    case wait_kind::io_other:
    case wait_kind::resolve:
    case wait_kind::connect_race:
    case wait_kind::blocking:
      return {"io", "thread_state_iowait"};
    case wait_kind::channel_send:
    case wait_kind::channel_receive:
    case wait_kind::broadcast_receive:
    case wait_kind::select:
      return {"channel", "yellow"};
    default:
      return {"meeting", "olive"};
  }
}

class trace_writer {
 public:
  trace_writer(scheduler& of, std::ostream& out) : of_(of), out_(out), now_(clock::now()) {}

  void write() {
    collect();
    lay_out();
    connect();
    emit();
  }

 private:
  void collect() {
    for (unsigned i = 0; i < of_.size(); ++i) {
      std::vector<trace_event>& events = events_.emplace_back();
      if (recorder* const kept = of_.at(i).recorded()) kept->copy(events, fibers_);
      // Other threads may have been a little late, and a look at the kernel is recorded at its end.
      std::stable_sort(events.begin(), events.end(), [](auto& a, auto& b) { return a.at < b.at; });
      if (!events.empty()) origin_ = std::min(origin_, events.front().at);
      for (const trace_event& one : events) now_ = std::max(now_, std::max(one.at, one.until));
    }
    origin_ = std::min(origin_, now_);
  }

  void lay_out() {
    workers_.resize(events_.size());
    for (unsigned i = 0; i < events_.size(); ++i) lay_out(i, events_[i]);
    for (auto& [id, turns] : turns_) {
      std::stable_sort(turns.begin(), turns.end(), [](auto& a, auto& b) { return a.begin < b.begin; });
      // Of one that moved, two workers' clocks may overlap by what a look at them takes.
      for (std::size_t i = 1; i < turns.size(); ++i) {
        turns[i].begin = std::max(turns[i].begin, turns[i - 1].end);
        turns[i].end = std::max(turns[i].end, turns[i].begin);
      }
      lay_out(id, turns);
    }
  }

  void lay_out(unsigned index, const std::vector<trace_event>& events) {
    std::optional<moment> since;
    for (const trace_event& one : events) {
      switch (one.what) {
        case trace_event::wakes:
        case trace_event::spawns:
          wakes_[one.fiber].push_back({one, index});
          continue;
        case trace_event::polls:
        case trace_event::sleeps: {
          const bool slept = one.what == trace_event::sleeps;
          const moment begin = since ? std::max(*since, one.at) : one.at;
          workers_[index].push_back({begin, std::max(begin, one.until), slept ? "sleep" : "poll", "kernel",
                                     slept ? "grey" : "thread_state_iowait"});
          since = std::max(begin, one.until);
          continue;
        }
        default:
          break;
      }
      const moment begin = since.value_or(one.at);
      since = std::max(begin, one.at);
      if (one.what == trace_event::returns || begin == one.at) continue;
      turns_[one.fiber].push_back({begin, *since, index, one});
      workers_[index].push_back(
          {begin, *since, name_of(one.fiber), "fiber", "thread_state_running", fiber_argument(one.fiber)});
    }
  }

  void lay_out(std::uint64_t id, const std::vector<turn>& turns) {
    std::vector<slice>& track = tracks_[id];
    const auto& wakes = wakes_[id];
    std::size_t next_wake = 0;
    for (std::size_t i = 0; i < turns.size(); ++i) {
      plain_text arguments;
      arguments << "\"worker\": " << turns[i].worker;
      track.push_back({turns[i].begin, turns[i].end, "running", "running", "thread_state_running",
                       std::string(arguments.view())});
      if (turns[i].stopped.what == trace_event::ends) continue;
      const moment end = i + 1 < turns.size() ? turns[i + 1].begin : now_;
      while (next_wake < wakes.size() && wakes[next_wake].event.at < turns[i].end) ++next_wake;
      moment woken = turns[i].end;
      if (turns[i].stopped.what == trace_event::waits)
        woken = next_wake < wakes.size() ? std::min(wakes[next_wake].event.at, end) : end;
      if (woken != turns[i].end) track.push_back(waiting(turns[i].end, woken, turns[i].stopped));
      if (woken != end) track.push_back({woken, end, "ready", "ready", "thread_state_runnable"});
    }
  }

  slice waiting(moment begin, moment end, const trace_event& stopped) {
    const look_of look = look_of_wait(stopped.why);
    plain_text arguments;
    if (stopped.on != nullptr) arguments << "\"on\": \"" << stopped.on << '"';
    return {begin,         end,         std::string(to_string(stopped.why)),
            look.category, look.colour, std::string(arguments.view())};
  }

  // An arrow leads from who woke a fiber to the turn that it had of that.
  void connect() {
    for (const auto& [id, wakes] : wakes_) {
      std::vector<slice>& track = tracks_[id];
      for (const auto& [event, index] : wakes) {
        slice* const to = first_turn(track, event.at);
        if (to == nullptr || to->in != 0 || event.by == trace_event::a_thread) continue;
        slice* const from = event.by == trace_event::the_worker ? at_time(workers_[index], event.at, "kernel")
                                                                : turn_of(event.by, event.at);
        if (from == nullptr) continue;
        from->out.push_back({event.at, ++arrows_});
        to->in = arrows_;
      }
    }
  }

  static slice* first_turn(std::vector<slice>& track, moment from) {
    auto at = std::partition_point(track.begin(), track.end(), [&](auto& s) { return s.begin < from; });
    while (at != track.end() && at->category != std::string_view("running")) ++at;
    return at == track.end() ? nullptr : &*at;
  }

  static slice* at_time(std::vector<slice>& track, moment when, std::string_view category) {
    auto at = std::partition_point(track.begin(), track.end(), [&](auto& s) { return s.end < when; });
    for (; at != track.end() && at->begin <= when; ++at) {
      if (at->category == category) return &*at;
    }
    return nullptr;
  }

  slice* turn_of(std::uint64_t id, moment when) {
    const auto found = tracks_.find(id);
    return found == tracks_.end() ? nullptr : at_time(found->second, when, "running");
  }

  std::string name_of(std::uint64_t id) {
    const auto known = fibers_.find(id);
    if (known != fibers_.end() && !known->second.name.empty()) return known->second.name;
    plain_text text;
    text << "fiber " << id;
    return std::string(text.view());
  }

  static std::string fiber_argument(std::uint64_t id) {
    plain_text text;
    text << "\"fiber\": " << id;
    return std::string(text.view());
  }

  void emit() {
    text_ << "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
    process(1, "fibers");
    process(2, "workers");
    std::uint64_t number = 0;
    for (auto& [id, track] : tracks_) {
      if (track.empty()) continue;
      thread(1, ++number, name_of(id), id);
      for (slice& one : track) emit(1, number, one);
    }
    for (unsigned i = 0; i < workers_.size(); ++i) {
      plain_text name;
      name << "worker " << i;
      thread(2, i, name.view(), 0);
      for (slice& one : workers_[i]) emit(2, i, one);
    }
    text_ << "\n]}\n";
    text_.write_to(out_);
  }

  void emit(unsigned process, std::uint64_t track, slice& one) {
    begin('B', one.begin, process, track) << ", \"name\": ";
    text_.add_json(one.name) << ", \"cat\": \"" << one.category << "\", \"cname\": \"" << one.colour
                             << "\", \"args\": {" << std::string_view(one.arguments) << "}}";
    if (one.in != 0)
      begin('f', one.begin, process, track)
          << ", \"name\": \"wake\", \"cat\": \"wake\", \"bp\": \"e\", \"id\": " << one.in << '}';
    std::sort(one.out.begin(), one.out.end(), [](auto& a, auto& b) { return a.at < b.at; });
    for (const arrow& out : one.out)
      begin('s', out.at, process, track)
          << ", \"name\": \"wake\", \"cat\": \"wake\", \"id\": " << out.id << '}';
    begin('E', one.end, process, track) << '}';
    if (text_.view().size() > 1 << 16) text_.write_to(out_);
  }

  plain_text& begin(char phase, moment at, unsigned process, std::uint64_t track) {
    if (std::exchange(has_event_, true)) text_ << ",\n";
    const auto since = static_cast<std::uint64_t>((std::max(at, origin_) - origin_).count());
    const std::uint64_t fraction = since % 1000;
    return text_ << "{\"ph\": \"" << phase << "\", \"ts\": " << since / 1000
                 << (fraction < 10    ? ".00"
                     : fraction < 100 ? ".0"
                                      : ".")
                 << fraction << ", \"pid\": " << process << ", \"tid\": " << track;
  }

  void process(unsigned id, std::string_view of) {
    begin('M', origin_, id, 0) << ", \"name\": \"process_name\", \"args\": {\"name\": ";
    text_.add_json(of_.options().name + ": " + std::string(of)) << "}}";
  }

  void thread(unsigned process, std::uint64_t track, std::string_view name, std::uint64_t id) {
    begin('M', origin_, process, track) << ", \"name\": \"thread_name\", \"args\": {\"name\": ";
    text_.add_json(name);
    if (id != 0) {
      text_ << ", \"fiber\": " << id;
      const auto known = fibers_.find(id);
      if (known != fibers_.end())
        (text_ << ", \"spawned_at\": ").add_json(symbols_(known->second.spawned_at));
    }
    text_ << "}}";
  }

  struct wake {
    trace_event event;
    unsigned worker;
  };

  scheduler& of_;
  std::ostream& out_;
  moment origin_ = moment::max();
  moment now_;
  std::vector<std::vector<trace_event>> events_;  // by worker
  std::unordered_map<std::uint64_t, traced_fiber> fibers_;
  std::map<std::uint64_t, std::vector<turn>> turns_;
  std::map<std::uint64_t, std::vector<wake>> wakes_;
  std::map<std::uint64_t, std::vector<slice>> tracks_;
  std::vector<std::vector<slice>> workers_;
  std::uint64_t arrows_ = 0;
  bool has_event_ = false;
  plain_text text_;
  symbols symbols_;
};

}  // namespace

void write_trace(scheduler& of, std::ostream& out) { trace_writer(of, out).write(); }

}  // namespace zsync::detail
