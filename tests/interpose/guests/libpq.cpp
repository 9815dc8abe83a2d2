// ARGUMENTS: CONNECTION. Connects and has the server sleep for a tenth of a second.
#include "guest.hpp"

#if ZSYNC_GUEST_LIBPQ
#include <libpq-fe.h>

#include <memory>

guests::deed guests::libpq(const arguments& more) {
  return [where = more.at(0)](int) {
    const std::unique_ptr<PGconn, void (*)(PGconn*)> to(::PQconnectdb(where.c_str()), &::PQfinish);
    expect(::PQstatus(to.get()) == CONNECTION_OK, ::PQerrorMessage(to.get()));
    const std::unique_ptr<PGresult, void (*)(PGresult*)> rows(::PQexec(to.get(), "select pg_sleep(0.1)"),
                                                              &::PQclear);
    expect(::PQresultStatus(rows.get()) == PGRES_TUPLES_OK, ::PQerrorMessage(to.get()));
  };
}
#else
guests::deed guests::libpq(const arguments&) { return {}; }
#endif
