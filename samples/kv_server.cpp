// kv-server: a key-value store that speaks the protocol of Redis, as far as strings go.
#include "common/arguments.hpp"
#include "common/kv_store.hpp"
#include "common/resp.hpp"
#include "common/tcp_server.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <span>

namespace samples {
namespace {

using words = std::vector<std::string_view>;

void get(kv_store& store, const words& w, resp_writer& reply) {
  const auto value = store.get(w[1]);
  value ? reply.bulk(*value) : reply.null();
}

void set(kv_store& store, const words& w, resp_writer& reply) {
  store.set(w[1], w[2]);
  reply.simple("OK");
}

void mget(kv_store& store, const words& w, resp_writer& reply) {
  reply.array(w.size() - 1);
  for (const auto key : std::span(w).subspan(1)) {
    const auto value = store.get(key);
    value ? reply.bulk(*value) : reply.null();
  }
}

void mset(kv_store& store, const words& w, resp_writer& reply) {
  if (w.size() % 2 == 0) return reply.error("wrong number of arguments for 'mset' command");
  for (std::size_t i = 1; i != w.size(); i += 2) store.set(w[i], w[i + 1]);
  reply.simple("OK");
}

void del(kv_store& store, const words& w, resp_writer& reply) {
  reply.integer(std::count_if(w.begin() + 1, w.end(), [&](auto key) { return store.erase(key); }));
}

void exists(kv_store& store, const words& w, resp_writer& reply) {
  reply.integer(std::count_if(w.begin() + 1, w.end(), [&](auto key) { return store.get(key).has_value(); }));
}

void append(kv_store& store, const words& w, resp_writer& reply) {
  reply.integer(store.update(
      w[1], [&](std::string& value) { return static_cast<std::int64_t>(value.append(w[2]).size()); }));
}

// The sum, unless one of them is no number.
std::optional<std::int64_t> sum(std::string_view value, std::string_view addend) {
  std::int64_t result = 0;
  for (const auto text : {value.empty() ? "0" : value, addend}) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    if (__builtin_add_overflow(result, number, &result)) return std::nullopt;
  }
  return result;
}

void increase(kv_store& store, std::string_view key, std::string_view by, resp_writer& reply) {
  const auto not_a_number = "value is not an integer or out of range";
  if (!sum("", by)) return reply.error(not_a_number);
  const auto result = store.update(key, [by](std::string& value) {
    const auto added = sum(value, by);
    if (added) value = std::to_string(*added);
    return added;
  });
  result ? reply.integer(*result) : reply.error(not_a_number);
}

void incr(kv_store& store, const words& w, resp_writer& reply) { increase(store, w[1], "1", reply); }
void decr(kv_store& store, const words& w, resp_writer& reply) { increase(store, w[1], "-1", reply); }
void incrby(kv_store& store, const words& w, resp_writer& reply) { increase(store, w[1], w[2], reply); }

void dbsize(kv_store& store, const words&, resp_writer& reply) {
  reply.integer(static_cast<std::int64_t>(store.size()));
}

void flushall(kv_store& store, const words&, resp_writer& reply) {
  store.clear();
  reply.simple("OK");
}

void ping(kv_store&, const words& w, resp_writer& reply) {
  w.size() == 2 ? reply.bulk(w[1]) : reply.simple("PONG");
}

void echo(kv_store&, const words& w, resp_writer& reply) { reply.bulk(w[1]); }
void none(kv_store&, const words&, resp_writer& reply) { reply.array(0); }

// redis-benchmark asks for two settings, which mean nothing here, before it begins.
void config(kv_store&, const words& w, resp_writer& reply) {
  reply.array(2);
  reply.bulk(w[2]);
  reply.bulk("");
}

struct command {
  std::size_t words_min, words_max;
  void (*run)(kv_store&, const words&, resp_writer&);
};

constexpr std::size_t any = static_cast<std::size_t>(-1);

const std::map<std::string, command, std::less<>> commands{
    {"append", {3, 3, append}}, {"command", {1, any, none}},  {"config", {3, 3, config}},
    {"dbsize", {1, 1, dbsize}}, {"decr", {2, 2, decr}},       {"del", {2, any, del}},
    {"echo", {2, 2, echo}},     {"exists", {2, any, exists}}, {"flushall", {1, 2, flushall}},
    {"get", {2, 2, get}},       {"incr", {2, 2, incr}},       {"incrby", {3, 3, incrby}},
    {"mget", {2, any, mget}},   {"mset", {3, any, mset}},     {"ping", {1, 2, ping}},
    {"set", {3, 3, set}},
};

void answer(kv_store& store, const words& w, resp_writer& reply) {
  if (w.empty()) return;
  std::string name(w[0]);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto found = commands.find(name);
  if (found == commands.end()) return reply.error("unknown command '" + name + "'");
  const auto& [least, most, run] = found->second;
  if (w.size() < least || w.size() > most) {
    return reply.error("wrong number of arguments for '" + name + "' command");
  }
  run(store, w, reply);
}

class kv_server final : public tcp_server {
 public:
  kv_server() : tcp_server(6380) {}

  void add_options(CLI::App& command) override {
    tcp_server::add_options(command);
    std::string names;
    for (const auto& [name, how] : commands) names += ' ' + name;
    add_footer(command,
               "Commands, as Redis has them:" + names + "\nTry `redis-cli -p 6380 set greeting hello`.");
  }

  void serve(zsync::tcp_stream& peer) override {
    resp_parser input;
    resp_writer reply;
    words command;
    try {
      while (const std::size_t n = peer.read({input.prepare(chunk), chunk})) {
        input.commit(n);
        while (input.next(command)) {
          answer(store_, command, reply);
          if (reply.replies().size() >= batch_max) send(peer, reply);
        }
        send(peer, reply);
      }
    } catch (const protocol_error& error) {
      reply.error(std::string("Protocol error: ") + error.what());
      send(peer, reply);
    }
  }

 private:
  static void send(zsync::tcp_stream& peer, resp_writer& reply) {
    if (!reply.replies().empty()) peer.write_all(reply.replies());
    reply.clear();
  }

  static constexpr std::size_t chunk = 16 * 1024;       // read at a time
  static constexpr std::size_t batch_max = 256 * 1024;  // of replies, before they are sent in any case
  kv_store store_;
};

}  // namespace

std::unique_ptr<sample> make_kv_server() { return std::make_unique<kv_server>(); }

}  // namespace samples
