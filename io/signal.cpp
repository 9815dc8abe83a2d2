// A handler writes the signal's number into the pipe of each set that has it. Sets and their number of users
// are in a table of atomics, because a handler may run on any thread between any two instructions:
//
//   free (pipe -1) --claimed under the mutex--> used: signals set last --> signals cleared first,
//                                               then no handler inside --> pipe closed, free
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/signal.hpp>
#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace zsync {
namespace {

constexpr int signals_max = 65;  // numbers 1 to 64

struct slot {
  std::atomic<std::uint64_t> signals{0};  // bit n - 1 for signal n
  std::atomic<int> pipe{-1};
};

std::array<slot, 64> slots;
std::atomic<int> handlers_inside{0};
std::mutex table;                                    // guards who uses which slot, and what follows
std::array<int, signals_max> users{};                // sets that have the signal
std::array<struct sigaction, signals_max> former{};  // what it did before the first

constexpr std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << (number - 1); }

void handle(int number) {
  const int error = errno;
  handlers_inside.fetch_add(1, std::memory_order_seq_cst);
  const auto byte = static_cast<unsigned char>(number);
  for (const slot& s : slots) {
    if ((s.signals.load(std::memory_order_seq_cst) & bit(number)) == 0) continue;
    // A full pipe holds enough of them.
    [[maybe_unused]] const ssize_t n =
        detail::kernel::write(s.pipe.load(std::memory_order_seq_cst), &byte, 1);
  }
  handlers_inside.fetch_sub(1, std::memory_order_seq_cst);
  errno = error;
}

void install(int number) {
  if (users[static_cast<std::size_t>(number)]++ != 0) return;
  struct sigaction action {};
  action.sa_handler = &handle;
  action.sa_flags = SA_RESTART | SA_ONSTACK;  // a fiber's stack may have no room for the handler's frame
  sigemptyset(&action.sa_mask);
  if (::sigaction(number, &action, &former[static_cast<std::size_t>(number)]) != 0) {
    users[static_cast<std::size_t>(number)] = 0;
    throw std::system_error(errno, std::system_category(), "signal " + std::to_string(number));
  }
}

void uninstall(int number) noexcept {
  if (--users[static_cast<std::size_t>(number)] != 0) return;
  ::sigaction(number, &former[static_cast<std::size_t>(number)], nullptr);
}

slot* take_slot(int pipe) noexcept {
  for (slot& s : slots) {
    if (s.pipe.load(std::memory_order_relaxed) >= 0) continue;
    s.pipe.store(pipe, std::memory_order_seq_cst);
    return &s;
  }
  return nullptr;
}

void free_slot(slot& s) noexcept {
  s.signals.store(0, std::memory_order_seq_cst);
  while (handlers_inside.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  detail::kernel::close(s.pipe.exchange(-1, std::memory_order_seq_cst));
}

}  // namespace

struct signal_set::registration {
  registration(std::initializer_list<int> wanted, unique_fd pipe, int reader)
      : reader_(detail::kernel::fcntl(reader, F_DUPFD_CLOEXEC, 0)) {
    if (reader_.get() < 0) throw std::system_error(errno, std::system_category(), "pipe");
    const std::lock_guard hold(table);
    place = take_slot(pipe.get());
    if (place == nullptr) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                              "too many signal sets");
    }
    std::ignore = pipe.release();  // the slot's
    try {
      for (const int number : wanted) add(number);
    } catch (...) {
      remove_all();
      throw;
    }
  }
  ~registration() {
    const std::lock_guard hold(table);
    remove_all();
  }
  registration(const registration&) = delete;
  registration& operator=(const registration&) = delete;

 private:
  void add(int number) {
    if (number < 1 || number >= signals_max) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument), "no such signal");
    }
    if ((place->signals.load(std::memory_order_relaxed) & bit(number)) != 0) return;
    numbers.push_back(number);
    try {
      install(number);
    } catch (...) {
      numbers.pop_back();
      throw;
    }
    place->signals.fetch_or(bit(number), std::memory_order_seq_cst);
  }
  void remove_all() noexcept {
    for (const int number : numbers) uninstall(number);
    free_slot(*place);
  }

  // The set may be closed, or its end of the pipe given away and closed, while its signals still come: this
  // one keeps the handler's write from being an error that raises SIGPIPE.
  unique_fd reader_;
  slot* place = nullptr;
  std::vector<int> numbers;
};

signal_set::signal_set(std::initializer_list<int> signals) {
  int ends[2];
  if (detail::open_pipe(ends) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  unique_fd writer(ends[1]);
  adopt(detail::descriptor_ptr::adopt(ends[0], detail::descriptor_kind::other));
  registration_ = std::make_unique<registration>(signals, std::move(writer), ends[0]);
}

signal_set::signal_set(signal_set&&) noexcept = default;
signal_set& signal_set::operator=(signal_set&&) noexcept = default;
signal_set::~signal_set() = default;

int signal_set::next(std::error_code& ec) {
  unsigned char number = 0;
  const std::size_t n = detail::read_some(stream_descriptor(), {&number, 1}, ec);
  return ec || n == 0 ? 0 : number;
}

int signal_set::next() {
  std::error_code ec;
  const int number = next(ec);
  detail::throw_if(ec, "next");
  return number;
}

}  // namespace zsync
