// The limit for a server over io_uring: one ring a thread. `multishot`: one receive a connection that stays,
// into a ring of provided buffers. `oneshot`: a receive a request into the connection's own buffer, told to
// poll first because the socket is known to be empty.
#include "common/listen.hpp"

#include <liburing.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

bench::server_options options;
bool multishot;

enum class step : std::uint64_t { accept, receive, send };
constexpr unsigned buffer_count = 1024;

struct connection {
  int fd;
  std::uint16_t buffer = 0;     // of the request that is being answered
  std::unique_ptr<char[]> own;  // oneshot only
  bool finished = false;
};

class loop {
 public:
  explicit loop(int listener) : listener_(listener) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 16384;
    if (io_uring_queue_init_params(4096, &ring_, &parameters) != 0) std::abort();
    io_uring_register_ring_fd(&ring_);
    if (multishot) provide_buffers();
    accept();
  }

  [[noreturn]] void run() {
    for (;;) {
      io_uring_submit_and_wait(&ring_, 1);
      unsigned head = 0, seen = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        ++seen;
        complete(*cqe);
      }
      io_uring_cq_advance(&ring_, seen);
    }
  }

 private:
  void provide_buffers() {
    const std::size_t entries = buffer_count * sizeof(io_uring_buf);
    if (posix_memalign(reinterpret_cast<void**>(&provided_), 4096, entries) != 0) std::abort();
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(provided_);
    registration.ring_entries = buffer_count;
    if (io_uring_register_buf_ring(&ring_, &registration, 0) != 0) std::abort();
    io_uring_buf_ring_init(provided_);
    memory_.resize(buffer_count * options.buffer);
    for (unsigned i = 0; i < buffer_count; ++i) give_back(static_cast<std::uint16_t>(i));
  }

  char* buffer(std::uint16_t index) { return memory_.data() + index * options.buffer; }

  void give_back(std::uint16_t index) {
    io_uring_buf_ring_add(provided_, buffer(index), static_cast<unsigned>(options.buffer), index,
                          io_uring_buf_ring_mask(buffer_count), 0);
    io_uring_buf_ring_advance(provided_, 1);
  }

  io_uring_sqe* next(connection* c, step s) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    while (!sqe) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    std::memset(sqe, 0, sizeof *sqe);
    tag_ = reinterpret_cast<std::uint64_t>(c) | static_cast<std::uint64_t>(s);
    return sqe;
  }

  void accept() {
    io_uring_sqe* sqe = next(nullptr, step::accept);
    io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    sqe->user_data = tag_;
  }

  void receive(connection* c) {
    io_uring_sqe* sqe = next(c, step::receive);
    if (multishot) {
      io_uring_prep_recv_multishot(sqe, c->fd, nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
    } else {
      io_uring_prep_recv(sqe, c->fd, c->own.get(), options.buffer, 0);
      sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    sqe->user_data = tag_;
  }

  void send(connection* c, const char* data, int size) {
    io_uring_sqe* sqe = next(c, step::send);
    io_uring_prep_send(sqe, c->fd, data, static_cast<unsigned>(size), MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = tag_;
  }

  void complete(const io_uring_cqe& cqe) {
    auto* c = reinterpret_cast<connection*>(cqe.user_data & ~std::uint64_t{3});
    switch (static_cast<step>(cqe.user_data & 3)) {
      case step::accept:
        return accepted(cqe);
      case step::receive:
        return received(c, cqe);
      case step::send:
        if (multishot)
          give_back(c->buffer);
        else if (!c->finished)
          receive(c);
    }
  }

  void accepted(const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept();
    if (cqe.res < 0) return;
    int one = 1;
    setsockopt(cqe.res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    auto* c = new connection{cqe.res, 0, nullptr, false};
    if (!multishot) c->own = std::make_unique_for_overwrite<char[]>(options.buffer);
    receive(c);
  }

  void received(connection* c, const io_uring_cqe& cqe) {
    if (cqe.res == -ENOBUFS) return receive(c);
    if (cqe.res <= 0) {
      close(c->fd);
      delete c;
      return;
    }
    if (multishot) {
      c->buffer = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      send(c, buffer(c->buffer), cqe.res);
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) receive(c);
    } else {
      send(c, c->own.get(), cqe.res);
    }
  }

  io_uring ring_{};
  int listener_;
  std::uint64_t tag_ = 0;
  io_uring_buf_ring* provided_ = nullptr;
  std::vector<char> memory_;
};

}  // namespace

int main(int argc, char** argv) {
  options = bench::parse_server(argc, argv);
  multishot = options.mode == "multishot";
  std::vector<int> listeners;
  int port = 0;
  for (unsigned i = 0; i < options.workers; ++i) {
    listeners.push_back(bench::open_server(SOCK_STREAM, port, 0));
    port = bench::port_of(listeners[0]);
  }
  std::vector<std::thread> others;
  for (unsigned i = 1; i < options.workers; ++i) others.emplace_back([fd = listeners[i]] { loop(fd).run(); });
  bench::tell_port(port);
  loop(listeners[0]).run();
}
