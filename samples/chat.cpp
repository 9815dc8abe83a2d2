// chat: what one says, all others hear. Try it with `nc`.
#include "common/tcp_server.hpp"

#include <map>
#include <memory>
#include <mutex>

namespace samples {
namespace {

using line = std::shared_ptr<const std::string>;  // one copy for all who hear it

// Everybody who is there, each with a queue of lines to be sent to them. For fibers of all workers.
class room {
 public:
  // False: somebody of that name is there already.
  bool enter(const std::string& name, const zsync::sender<line>& queue) {
    std::lock_guard guard(lock_);
    return queues_.emplace(name, queue).second;
  }

  void leave(const std::string& name) {
    std::lock_guard guard(lock_);
    queues_.erase(name);
  }

  // Waits for nobody: whoever reads so slowly that the queue is full misses a line.
  void tell_others(const std::string& from, const std::string& text) {
    const auto said = std::make_shared<const std::string>(text + '\n');
    std::lock_guard guard(lock_);
    for (auto& [name, queue] : queues_) {
      if (name != from) (void)queue.try_send(said);
    }
  }

 private:
  zsync::mutex lock_;
  std::map<std::string, zsync::sender<line>> queues_;  // guarded by lock_
};

// Somebody's presence in the room.
class visit {
 public:
  visit(room& where, const std::string& who, const zsync::sender<line>& queue)
      : room_(where), name_(who), welcome_(where.enter(who, queue)) {
    if (welcome_) room_.tell_others(name_, "* " + name_ + " is here");
  }
  ~visit() {
    if (!welcome_) return;
    room_.leave(name_);
    room_.tell_others(name_, "* " + name_ + " has left");
  }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

  [[nodiscard]] bool welcome() const { return welcome_; }

 private:
  room& room_;
  const std::string name_;
  const bool welcome_;
};

class chat final : public tcp_server {
 public:
  chat() : tcp_server(7002) {}

  void serve(zsync::tcp_stream& peer) override {
    zsync::buffered_reader<zsync::tcp_stream&> input(peer);
    peer.write_all("Your name? ");
    std::string name;
    if (!input.read_line(name, line_length_max) || name.empty()) return;

    auto [lines_in, lines_out] = zsync::channel<line>(queue_length);
    const visit here(room_, name, lines_in);
    if (!here.welcome()) return peer.write_all("That name is taken.\n");
    peer.write_all("Hello, " + name + ".\n");
    zsync::fiber writer([&peer, &lines = lines_out] {
      while (const auto next = lines.recv()) peer.write_all(**next);
    });
    for (std::string text; input.read_line(text, line_length_max);)
      room_.tell_others(name, name + ": " + text);
  }

 private:
  static constexpr std::size_t queue_length = 256;
  static constexpr std::size_t line_length_max = 4096;
  room room_;
};

}  // namespace

std::unique_ptr<sample> make_chat() { return std::make_unique<chat>(); }

}  // namespace samples
