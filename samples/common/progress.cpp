#include "common/progress.hpp"

#include <unistd.h>

#include <iostream>

namespace samples {
namespace {

constexpr auto start_of_line = "\r\033[K";  // and clear it

}  // namespace

progress_line::progress_line() : on_terminal_(::isatty(STDERR_FILENO) == 1) {}

progress_line::~progress_line() {
  if (shown_) std::cerr << start_of_line << std::flush;
}

void progress_line::show(const std::string& text) {
  if (!on_terminal_) return;
  shown_ = true;
  std::cerr << start_of_line << text << std::flush;
}

}  // namespace samples
