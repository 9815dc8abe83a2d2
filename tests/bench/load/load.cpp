// The load generator of the network rows: one thread over raw epoll, a closed loop (each connection sends
// its next request when the answer to the last is complete). It asks the kernel for the server's processor
// time at both ends of the measured interval, so that figure holds on a noisy machine too.
#include "load/connection.hpp"
#include "load/histogram.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace bench {
namespace {

struct options {
  int port = 0;
  int pid = 0;
  int connections = 1;
  std::size_t size = 64;
  double seconds = 1;
  double warmup = 0.2;
  bool churn = false;  // a new connection for each request
  bool udp = false;
  bool idle = false;  // only open the connections, and tell what they cost the server in memory
};

double clock_seconds(clockid_t clock) {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double process_seconds(int pid) {
  clockid_t clock{};
  if (pid == 0 || clock_getcpuclockid(pid, &clock) != 0) return 0;
  return clock_seconds(clock);
}

// One line of another process's memory status, in bytes.
double memory_bytes(int pid, const char* field) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return 0;
  char line[256];
  double kib = 0;
  while (std::fgets(line, sizeof line, file))
    if (std::strncmp(line, field, std::strlen(field)) == 0) kib = std::atof(line + std::strlen(field));
  std::fclose(file);
  return kib * 1024;
}

class generator {
 public:
  explicit generator(const options& o) : o_(o), poll_(epoll_create1(EPOLL_CLOEXEC)), payload_(o.size, 'z') {}

  int run() {
    if (o_.idle) return idle();
    for (int i = 0; i < o_.connections; ++i) {
      all_.push_back(std::make_unique<connection>(o_.port, o_.udp));
      watch(*all_.back());
      if (!o_.churn && i % 64 == 63) usleep(500);  // spare the listener's backlog
    }
    for (auto& each : all_) send(*each);
    turn_for(o_.warmup);
    measuring_ = true;
    const double server = process_seconds(o_.pid);
    const double client = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    const double began = clock_seconds(CLOCK_MONOTONIC);
    turn_for(o_.seconds);
    const double wall = clock_seconds(CLOCK_MONOTONIC) - began;
    report(wall, process_seconds(o_.pid) - server, clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - client);
    return latency_.total() == 0 ? 1 : 0;
  }

 private:
  void watch(connection& c) {
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.ptr = &c;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &interest) != 0) fail("epoll_ctl");
  }

  void send(connection& c) {
    c.sent_at = now_ns();
    c.left = payload_.size();
    if (!c.send_all(payload_.data(), payload_.size())) ++errors_;
  }

  void turn_for(double seconds) {
    const std::int64_t until = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    epoll_event events[256];
    while (now_ns() < until) {
      const int n = epoll_wait(poll_, events, 256, 20);
      for (int i = 0; i < n; ++i) answered(*static_cast<connection*>(events[i].data.ptr));
      if (o_.udp && n == 0) resend_lost();
    }
  }

  void answered(connection& c) {
    static char buffer[1 << 16];
    const ssize_t got = recv(c.fd, buffer, std::min(sizeof buffer, c.left), MSG_DONTWAIT);
    if (got <= 0) {
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      ++errors_;
      return renew(c);
    }
    c.left -= static_cast<std::size_t>(got);
    if (c.left != 0) return;
    if (measuring_) latency_.add(now_ns() - c.sent_at);
    if (o_.churn)
      renew(c);
    else
      send(c);
  }

  void renew(connection& c) {
    const std::int64_t began = now_ns();
    c.reopen(o_.port, o_.udp);
    watch(c);
    send(c);
    c.sent_at = began;
  }

  void resend_lost() {
    for (auto& each : all_)
      if (now_ns() - each->sent_at > 100'000'000) {
        ++lost_;
        send(*each);
      }
  }

  // Connections that have said nothing yet, and the same after one request each.
  int idle() {
    const double before = memory_bytes(o_.pid, "VmRSS:"), tables = memory_bytes(o_.pid, "VmPTE:");
    for (int i = 0; i < o_.connections; ++i) {
      all_.push_back(std::make_unique<connection>(o_.port, false));
      watch(*all_.back());
      if (i % 64 == 63) usleep(2000);
    }
    usleep(500'000);
    const double opened = memory_bytes(o_.pid, "VmRSS:");
    for (auto& each : all_) {
      send(*each);
      while (each->left != 0) {
        const ssize_t got = recv(each->fd, payload_.data(), each->left, 0);
        if (got <= 0) return 1;
        each->left -= static_cast<std::size_t>(got);
      }
    }
    usleep(200'000);
    const double used = memory_bytes(o_.pid, "VmRSS:");
    const double n = o_.connections;
    std::printf("{\"bytes\":%.6g,\"used_bytes\":%.6g,\"table_bytes\":%.6g}\n", (opened - before) / n,
                (used - before) / n, (memory_bytes(o_.pid, "VmPTE:") - tables) / n);
    return 0;
  }

  void report(double wall, double server, double client) const {
    const auto n = static_cast<double>(latency_.total());
    std::printf(
        "{\"requests\":%.0f,\"rps\":%.6g,\"server_us\":%.5g,\"client_us\":%.5g,\"p50_us\":%.4g,\"p99_us\":%."
        "4g,"
        "\"p999_us\":%.4g,\"max_us\":%.4g,\"errors\":%ld,\"lost\":%ld}\n",
        n, n / wall, server * 1e6 / n, client * 1e6 / n, latency_.percentile_us(0.5),
        latency_.percentile_us(0.99), latency_.percentile_us(0.999), latency_.max_us(), errors_, lost_);
  }

  options o_;
  int poll_;
  std::string payload_;
  std::vector<std::unique_ptr<connection>> all_;
  histogram latency_;
  bool measuring_ = false;
  long errors_ = 0;
  long lost_ = 0;
};

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--churn")
      o.churn = true;
    else if (name == "--udp")
      o.udp = true;
    else if (name == "--idle")
      o.idle = true;
    else if (i + 1 == argc)
      std::exit(2);
    else if (const char* value = argv[++i]; name == "--port")
      o.port = std::atoi(value);
    else if (name == "--pid")
      o.pid = std::atoi(value);
    else if (name == "--connections")
      o.connections = std::atoi(value);
    else if (name == "--size")
      o.size = static_cast<std::size_t>(std::atol(value));
    else if (name == "--seconds")
      o.seconds = std::atof(value);
    else if (name == "--warmup")
      o.warmup = std::atof(value);
    else
      std::exit(2);
  }
  return o;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return bench::generator(bench::parse(argc, argv)).run();
}
