// ARGUMENTS: SOCKET. Connects and has the server sleep for a tenth of a second.
#include "guest.hpp"

#if ZSYNC_GUEST_MARIADB
#include <mysql.h>

#include <memory>

guests::deed guests::mariadb(const arguments& more) {
  ::mysql_library_init(0, nullptr, nullptr);
  return [socket = more.at(0)](int) {
    const std::unique_ptr<MYSQL, void (*)(MYSQL*)> to(::mysql_init(nullptr), &::mysql_close);
    expect(::mysql_real_connect(to.get(), nullptr, "root", nullptr, nullptr, 0, socket.c_str(), 0) != nullptr,
           ::mysql_error(to.get()));
    expect(::mysql_query(to.get(), "select sleep(0.1)") == 0, ::mysql_error(to.get()));
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> rows(::mysql_store_result(to.get()),
                                                                &::mysql_free_result);
    expect(rows != nullptr, "no rows");
  };
}
#else
guests::deed guests::mariadb(const arguments&) { return {}; }
#endif
