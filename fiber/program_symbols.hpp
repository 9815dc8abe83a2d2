// Names of functions that are not exported: from the symbol table of the program's own file, which is there
// unless the program was stripped. Not a public header.
#pragma once

#include <cstddef>
#include <string>

namespace zsync::detail {

struct program_symbol {
  std::string name;        // mangled; empty: not found
  std::size_t offset = 0;  // of the code within the function
};

// Reads the file at each call, for it is asked for seldom. Only for code of the program itself: its file is
// the one that runs, whatever has been put in its place. Not from a signal handler.
program_symbol find_program_symbol(const void* code);

}  // namespace zsync::detail
