// ARGUMENTS: PORT [SECONDS]. Sets a key and reads it back; then waits so long for an answer, while the server
// serves others.
#include "guest.hpp"

#if ZSYNC_GUEST_HIREDIS
#include <hiredis/hiredis.h>

#include <memory>

guests::deed guests::hiredis(const arguments& more) {
  return [port = std::stoi(more.at(0)), wait = more.size() > 1 ? more[1] : ""](int number) {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> to(::redisConnect("127.0.0.1", port),
                                                                    &::redisFree);
    expect(to && to->err == 0, to ? to->errstr : "no memory");
    const auto ask = [&](const char* format, const std::string& answer, auto... values) {
      auto* const reply = static_cast<redisReply*>(::redisCommand(to.get(), format, values...));
      expect(reply != nullptr, to->errstr);
      const std::string came(reply->str, reply->len);
      ::freeReplyObject(reply);
      expect(came == answer, "another answer: " + came);
    };
    ask("SET key:%d %d", "OK", number, number * 7);
    ask("GET key:%d", std::to_string(number * 7), number);
    if (wait.empty()) return;
    auto* const none = static_cast<redisReply*>(::redisCommand(to.get(), "BLPOP none %s", wait.c_str()));
    expect(none != nullptr, to->errstr);
    const bool nil = none->type == REDIS_REPLY_NIL;
    ::freeReplyObject(none);
    expect(nil, "an element of no list");
  };
}
#else
guests::deed guests::hiredis(const arguments&) { return {}; }
#endif
