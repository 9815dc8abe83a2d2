#include "common/inspector.hpp"

#include <zsync/io/inspection_socket.hpp>
#include <zsync/io/peer_user.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace samples {
namespace {

constexpr std::string_view greeting = zsync::detail::inspection_greeting;
constexpr std::string_view end_of_answer = zsync::detail::inspection_end;

bool lives(pid_t pid, struct stat& process) {
  return pid > 0 && ::stat(("/proc/" + std::to_string(pid)).c_str(), &process) == 0;
}

class connection {
 public:
  connection() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) throw std::runtime_error(std::strerror(errno));
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~connection() { ::close(fd_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // 0, or errno.
  int open(const std::string& path) const {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    if (path.size() >= sizeof at.sun_path) return ENAMETOOLONG;
    path.copy(at.sun_path, path.size());
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 ? 0 : errno;
  }

  // In /tmp anybody may have put a socket of that name.
  [[nodiscard]] bool leads_to(uid_t owner) const {
    uid_t user = 0;
    return zsync::detail::peer_user(fd_, user) && user == owner;
  }

  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // To its end; false: it did not come in time, or the connection broke.
  bool receive(std::string& into) const {
    for (char text[65536];;) {
      const ssize_t n = ::recv(fd_, text, sizeof text, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      if (n == 0) return true;
      into.append(text, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
};

// What XDG_RUNTIME_DIR was when the process began, as far as one may look.
std::string runtime_directory_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::string name = "XDG_RUNTIME_DIR=";
  for (std::size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) {
    if (all.compare(at, name.size(), name) == 0) return std::string(all.c_str() + at + name.size());
    if (all.find('\0', at) == std::string::npos) break;
  }
  return {};
}

std::vector<std::string> candidates(pid_t pid, uid_t owner) {
  std::vector<std::string> found;
  const auto add = [&](const std::string& directory) {
    if (!directory.empty()) found.push_back(zsync::detail::inspection_socket(directory, pid));
  };
  add(runtime_directory_of(pid));
  if (const char* const own = std::getenv("XDG_RUNTIME_DIR")) add(own);
  add("/run/user/" + std::to_string(owner));
  add("/tmp");
  return found;
}

}  // namespace

std::string inspect(pid_t pid, const std::string& question) {
  const std::string process = "process " + std::to_string(pid);
  struct stat of_process {};
  if (!lives(pid, of_process)) throw std::runtime_error("there is no " + process);
  bool refused = false;
  for (const std::string& path : candidates(pid, of_process.st_uid)) {
    const connection to;
    const int error = to.open(path);
    refused = refused || error == EACCES || error == EPERM;
    if (error != 0) continue;
    if (!to.leads_to(of_process.st_uid)) continue;
    std::string answer;
    if (!to.send(question + '\n') || !to.receive(answer))
      throw std::runtime_error(process + " does not answer on " + path);
    const bool begun = answer.starts_with(greeting);
    if (begun && answer.ends_with(end_of_answer)) {
      answer.resize(answer.size() - end_of_answer.size());
      return answer.substr(greeting.size());
    }
    if (!lives(pid, of_process)) throw std::runtime_error(process + " has ended before it had answered");
    if (begun) throw std::runtime_error(process + " broke off its answer, or ends");
    refused = true;
  }
  if (refused) throw std::runtime_error(process + " answers its own user and root alone");
  throw std::runtime_error(
      process +
      " is not open to inspection: start it with ZSYNC_INSPECT=1 in its environment, or make a "
      "zsync::inspection in it");
}

}  // namespace samples
