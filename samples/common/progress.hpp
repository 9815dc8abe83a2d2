// A line that tells how far it is, on a terminal only.
#pragma once

#include <string>

namespace samples {

// Writes over itself on stderr, and is gone in the end. Does nothing if stderr is no terminal.
class progress_line {
 public:
  progress_line();
  ~progress_line();
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

  void show(const std::string& text);

 private:
  bool on_terminal_;
  bool shown_ = false;
};

}  // namespace samples
