// What the newer forms of io_uring's operations save over the plain ones, without a runtime around them: the
// processor time of whoever serves, in nanoseconds an operation. io/README.md draws the conclusions.
//
//   bench-limit-uring [REPETITIONS]
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr unsigned connections = 64;
constexpr unsigned buffers = 128;
constexpr unsigned buffer_group = 1;
constexpr std::size_t size_max = 16 * 1024;

void check(long result, const char* what) {
  if (result < 0) throw std::runtime_error(what);
}

double thread_time() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

double process_time() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

class listener {
 public:
  listener() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    check(::bind(fd, reinterpret_cast<sockaddr*>(&where), size), "bind");
    check(::listen(fd, 1024), "listen");
    check(::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size), "getsockname");
  }
  ~listener() { ::close(fd); }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  [[nodiscard]] int connect() const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(::connect(client, reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
    const int on = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return client;
  }

  const int fd;
  sockaddr_in where{};
};

class ring {
 public:
  ring() {
    io_uring_params p{};
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    p.cq_entries = 4096;
    check(::io_uring_queue_init_params(256, &r, &p), "io_uring_queue_init_params");
  }
  ~ring() { ::io_uring_queue_exit(&r); }
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  io_uring_sqe* entry() {
    io_uring_sqe* e = ::io_uring_get_sqe(&r);
    if (e == nullptr) {
      ::io_uring_submit(&r);
      e = ::io_uring_get_sqe(&r);
    }
    return e;
  }

  io_uring r{};
};

// ---- receiving ----

enum class receiving { plain, registered, multishot };

// Memory from which the kernel takes buffers for multishot receives.
class buffer_ring {
 public:
  explicit buffer_ring(ring& of) : memory_(buffers * size_max) {
    constexpr std::size_t bytes = buffers * sizeof(io_uring_buf);
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    ring_ = static_cast<io_uring_buf_ring*>(mapped);
    io_uring_buf_reg reg{};
    reg.ring_addr = reinterpret_cast<std::uint64_t>(mapped);
    reg.ring_entries = buffers;
    reg.bgid = buffer_group;
    check(::io_uring_register_buf_ring(&of.r, &reg, 0), "io_uring_register_buf_ring");
    ::io_uring_buf_ring_init(ring_);
    for (unsigned i = 0; i < buffers; ++i) give(i);
  }
  ~buffer_ring() { ::munmap(ring_, buffers * sizeof(io_uring_buf)); }
  buffer_ring(const buffer_ring&) = delete;
  buffer_ring& operator=(const buffer_ring&) = delete;

  [[nodiscard]] char* at(unsigned i) noexcept { return memory_.data() + i * size_max; }
  void give(unsigned i) noexcept {
    ::io_uring_buf_ring_add(ring_, at(i), size_max, static_cast<unsigned short>(i),
                            ::io_uring_buf_ring_mask(buffers), 0);
    ::io_uring_buf_ring_advance(ring_, 1);
  }

 private:
  std::vector<char> memory_;
  io_uring_buf_ring* ring_ = nullptr;
};

double receive(receiving how, std::size_t size, int rounds) {
  const listener l;
  std::array<int, connections> clients{};
  std::array<int, connections> servers{};
  for (unsigned i = 0; i < connections; ++i) {
    clients[i] = l.connect();
    servers[i] = ::accept4(l.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }
  ring own;
  if (how == receiving::registered) {
    check(::io_uring_register_files(&own.r, servers.data(), connections), "io_uring_register_files");
  }
  buffer_ring provided(own);
  std::vector<char> mine(connections * size_max);
  const std::vector<char> message(size, 'x');
  const auto arm = [&](unsigned i) {
    io_uring_sqe* const e = own.entry();
    if (how == receiving::multishot) {
      ::io_uring_prep_recv_multishot(e, servers[i], nullptr, 0, 0);
      e->flags |= IOSQE_BUFFER_SELECT;
      e->buf_group = buffer_group;
    } else {
      const int fd = how == receiving::registered ? static_cast<int>(i) : servers[i];
      ::io_uring_prep_recv(e, fd, mine.data() + i * size_max, size_max, 0);
      if (how == receiving::registered) e->flags |= IOSQE_FIXED_FILE;
      e->ioprio = IORING_RECVSEND_POLL_FIRST;
    }
    ::io_uring_sqe_set_data64(e, i);
  };
  for (unsigned i = 0; i < connections; ++i) arm(i);
  ::io_uring_submit(&own.r);
  double served = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const int client : clients) check(::send(client, message.data(), size, 0), "send");
    const double before = thread_time();
    for (std::size_t missing = connections * size; missing != 0;) {
      ::io_uring_submit_and_wait(&own.r, 1);
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* c = nullptr;
      io_uring_for_each_cqe(&own.r, head, c) {
        ++count;
        const auto i = static_cast<unsigned>(c->user_data);
        if (c->res > 0) missing -= static_cast<std::size_t>(c->res);
        if (how == receiving::multishot) {
          if (c->res > 0) {
            const unsigned buffer = c->flags >> IORING_CQE_BUFFER_SHIFT;
            // read() has a buffer of its caller's to fill.
            std::memcpy(mine.data() + i * size_max, provided.at(buffer), static_cast<std::size_t>(c->res));
            provided.give(buffer);
          }
          if ((c->flags & IORING_CQE_F_MORE) == 0) arm(i);
        } else {
          arm(i);
        }
      }
      ::io_uring_cq_advance(&own.r, count);
    }
    served += thread_time() - before;
  }
  for (const int fd : clients) ::close(fd);
  for (const int fd : servers) ::close(fd);
  return served / rounds / connections;
}

// ---- accepting ----

enum class accepting { plain, attempt, multishot };

double accept(accepting how, int rounds) {
  const listener l;
  ring own;
  const auto arm = [&] {
    io_uring_sqe* const e = own.entry();
    if (how == accepting::multishot) {
      ::io_uring_prep_multishot_accept(e, l.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
      ::io_uring_prep_accept(e, l.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
  };
  arm();
  ::io_uring_submit(&own.r);
  double served = 0;
  std::vector<int> open;
  for (int round = 0; round < rounds; ++round) {
    for (unsigned i = 0; i < connections; ++i) open.push_back(l.connect());
    const double before = thread_time();
    for (unsigned missing = connections; missing != 0;) {
      ::io_uring_submit_and_wait(&own.r, 1);
      unsigned head = 0;
      unsigned count = 0;
      bool armed = true;
      io_uring_cqe* c = nullptr;
      io_uring_for_each_cqe(&own.r, head, c) {
        ++count;
        if (c->res >= 0) {
          open.push_back(c->res);
          --missing;
        }
        armed = (c->flags & IORING_CQE_F_MORE) != 0;
      }
      ::io_uring_cq_advance(&own.r, count);
      if (how == accepting::attempt) {
        for (int fd = 0; missing != 0; --missing) {
          fd = ::accept4(l.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (fd < 0) break;
          open.push_back(fd);
        }
      }
      if (!armed) arm();
    }
    served += thread_time() - before;
    for (const int fd : open) ::close(fd);
    open.clear();
  }
  return served / rounds / connections;
}

// ---- sending ----

enum class sending { call, plain, zero_copy };

double send(sending how, std::size_t size, int rounds) {
  const listener l;
  const int client = l.connect();
  const int server = ::accept4(l.fd, nullptr, nullptr, SOCK_CLOEXEC);
  std::thread drain([&] {
    std::vector<char> into(1 << 20);
    while (::recv(server, into.data(), into.size(), 0) > 0) continue;
  });
  const std::vector<char> data(size, 'x');
  ring own;
  const iovec whole{const_cast<char*>(data.data()), size};
  check(::io_uring_register_buffers(&own.r, &whole, 1), "io_uring_register_buffers");
  const double before = process_time();
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t done = 0; done < size;) {
      if (how == sending::call) {
        const ssize_t n = ::send(client, data.data() + done, size - done, 0);
        check(n, "send");
        done += static_cast<std::size_t>(n);
        continue;
      }
      io_uring_sqe* const e = own.entry();
      if (how == sending::plain) {
        ::io_uring_prep_send(e, client, data.data() + done, size - done, 0);
      } else {
        ::io_uring_prep_send_zc(e, client, data.data() + done, size - done, 0, IORING_RECVSEND_FIXED_BUF);
        e->buf_index = 0;
      }
      for (bool over = false; !over;) {  // a zero-copy send ends twice: sent, and the buffer free again
        ::io_uring_submit_and_wait(&own.r, 1);
        io_uring_cqe* c = nullptr;
        ::io_uring_peek_cqe(&own.r, &c);
        if (c == nullptr) continue;
        if ((c->flags & IORING_CQE_F_NOTIF) == 0) {
          check(c->res, "io_uring send");
          done += static_cast<std::size_t>(c->res);
        }
        over = (c->flags & IORING_CQE_F_MORE) == 0;
        ::io_uring_cqe_seen(&own.r, c);
      }
    }
  }
  ::shutdown(client, SHUT_WR);
  drain.join();
  const double used = process_time() - before;
  ::close(client);
  ::close(server);
  return used / rounds;
}

// The median of several, each alternative taking its turn before the next round.
template <class F, std::size_t N>
void row(const std::string& name, int repetitions, const char* const (&names)[N], F measure) {
  std::array<std::vector<double>, N> all;
  for (int i = 0; i < repetitions; ++i) {
    for (std::size_t k = 0; k < N; ++k) all[k].push_back(measure(k));
  }
  std::printf("%-18s", name.c_str());
  for (std::size_t k = 0; k < N; ++k) {
    std::ranges::sort(all[k]);
    std::printf("  %s %.0f (%.0f-%.0f)", names[k], all[k][all[k].size() / 2], all[k].front(), all[k].back());
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 5;
  constexpr const char* receives[] = {"plain", "registered", "multishot"};
  for (const std::size_t size : {std::size_t{64}, std::size_t{1024}, size_max}) {
    row("receive " + std::to_string(size), repetitions, receives,
        [&](std::size_t k) { return receive(static_cast<receiving>(k), size, 500); });
  }
  constexpr const char* accepts[] = {"plain", "attempt", "multishot"};
  row("accept", repetitions, accepts, [&](std::size_t k) { return accept(static_cast<accepting>(k), 30); });
  constexpr const char* sends[] = {"call", "plain", "zero-copy"};
  for (const std::size_t size :
       {std::size_t{16} << 10, std::size_t{64} << 10, std::size_t{256} << 10, std::size_t{1} << 20}) {
    row("send " + std::to_string(size), repetitions, sends,
        [&](std::size_t k) { return send(static_cast<sending>(k), size, 200); });
  }
}
