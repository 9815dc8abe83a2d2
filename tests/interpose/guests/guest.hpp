// A synchronous library in many fibers of one worker. Built twice: with interposition, and without.
#pragma once

#include <zsync/zsync.hpp>

#include <functional>
#include <string>
#include <vector>

namespace guests {

using arguments = std::vector<std::string>;

// What one fiber does; it throws if its library reports an error or a wrong answer.
using deed = std::function<void(int number)>;

// Each library's, made of what stands behind its name on the command line. Empty: it was not there to build
// with.
deed curl(const arguments& more);
deed hiredis(const arguments& more);
deed openssl(const arguments& more);
deed libpq(const arguments& more);
deed mariadb(const arguments& more);
// Of no library: a program.
deed program(const arguments& more);

// For errors of libraries.
void expect(bool right, const std::string& what);

}  // namespace guests
