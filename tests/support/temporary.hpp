// Files that a test makes, gone when it ends.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace zsync::test {

class temporary_directory {
 public:
  temporary_directory() {
    // mkdtemp() replaces the last six characters, which have to be these.
    std::string name =
        (std::filesystem::temp_directory_path() / "zsync-test-").string() + std::string(6, 'X');
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::system_category(), "mkdtemp");
    path_ = name;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A file without a name, empty, to be read and written; the caller's to close.
inline int nameless_file() {
  const temporary_directory home;
  const int fd = ::open((home / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw std::system_error(errno, std::system_category(), "a temporary file");
  return fd;
}

}  // namespace zsync::test
