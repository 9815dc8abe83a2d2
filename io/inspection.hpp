// Looking into a running process from outside: `zsync-run dump PID`, `zsync-run stat PID`.
#pragma once

#include <memory>
#include <string>

namespace zsync {

// While it lives, this process answers questions about its runtimes (dumps, figures) on a unix socket:
// zsync-PID.sock in $XDG_RUNTIME_DIR, or in /tmp without that. Only the user whose process it is, and root,
// get an answer. A thread of low priority answers, so stuck workers do not keep it from telling so. Several
// of them share one socket. They may be made and destroyed by any threads at any time, each by one, and the
// path be asked for by many.
//
// Instead of making one, a program may be started with ZSYNC_INSPECT=1 in its environment: then it answers
// as long as it has a runtime.
class inspection {
 public:
  // Throws std::system_error: the socket cannot be made, or no thread.
  inspection();

  [[nodiscard]] const std::string& path() const noexcept;  // of the socket

 private:
  class endpoint;
  static std::shared_ptr<endpoint> open();

  std::shared_ptr<endpoint> endpoint_;
};

}  // namespace zsync
