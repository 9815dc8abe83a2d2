// The data of kv-server: strings by name, cut into shards that have a lock each.
#pragma once

#include <zsync/zsync.hpp>

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace samples {

// For fibers of all workers.
class kv_store {
 public:
  std::optional<std::string> get(std::string_view key) {
    auto& home = shard_of(key);
    std::lock_guard guard(home.lock);
    const auto found = home.values.find(key);
    return found == home.values.end() ? std::nullopt : std::optional(found->second);
  }

  bool erase(std::string_view key) {
    auto& home = shard_of(key);
    std::lock_guard guard(home.lock);
    const auto found = home.values.find(key);
    if (found == home.values.end()) return false;
    home.values.erase(found);
    return true;
  }

  // Calls change(value) under the lock, with an empty value if there was none. Returns what it returns.
  template <class Change>
  auto update(std::string_view key, const Change& change) {
    auto& home = shard_of(key);
    std::lock_guard guard(home.lock);
    const auto found = home.values.find(key);
    return change(found != home.values.end() ? found->second : home.values[std::string(key)]);
  }

  void set(std::string_view key, std::string_view value) {
    update(key, [value](std::string& old) { old = value; });
  }

  std::size_t size() {
    std::size_t sum = 0;
    for (auto& home : shards_) {
      std::lock_guard guard(home.lock);
      sum += home.values.size();
    }
    return sum;
  }

  void clear() {
    for (auto& home : shards_) {
      std::lock_guard guard(home.lock);
      home.values.clear();
    }
  }

 private:
  // Lets a string_view be looked up without making a string of it.
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  struct alignas(64) shard {
    zsync::mutex lock;
    std::unordered_map<std::string, std::string, hash, std::equal_to<>> values;  // guarded by `lock`
  };

  shard& shard_of(std::string_view key) { return shards_[hash{}(key) % shards_.size()]; }

  std::array<shard, 64> shards_;
};

}  // namespace samples
