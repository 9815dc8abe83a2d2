// Names of code, each looked up once. Not a public header.
#pragma once

#include <zsync/fiber/backtrace.hpp>

#include <string>
#include <unordered_map>

namespace zsync::detail {

class symbols {
 public:
  const std::string& operator()(const void* code) {
    auto [at, is_new] = names_.try_emplace(code);
    if (is_new) at->second = symbol_name(code);
    return at->second;
  }

 private:
  std::unordered_map<const void*, std::string> names_;
};

}  // namespace zsync::detail
