#include "common/socket_file.hpp"

#include <unistd.h>

namespace samples {

socket_file::socket_file(const zsync::socket_address& bound) : path_(bound.path()) {
  // "@name" is no file but a name of the kernel's.
  if (path_.starts_with('@') || ::lstat(path_.c_str(), &made_) != 0 || !S_ISSOCK(made_.st_mode))
    path_.clear();
}

socket_file::~socket_file() {
  struct stat now {};
  if (path_.empty() || ::lstat(path_.c_str(), &now) != 0) return;
  if (now.st_dev == made_.st_dev && now.st_ino == made_.st_ino) ::unlink(path_.c_str());
}

}  // namespace samples
