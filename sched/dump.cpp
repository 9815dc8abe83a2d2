#include <zsync/sched/dump.hpp>

#include <zsync/sched/picture.hpp>

#include <cstdio>
#include <sstream>

namespace zsync::detail {

void dump(scheduler& of, std::ostream& out, dump_format format) {
  const picture seen(of);
  format == dump_format::json ? write_json(seen, out) : write_text(seen, out);
}

void dump_to_stderr(scheduler& of, const char* heading) noexcept {
  try {
    std::ostringstream text;
    text << "zsync: " << heading << ":\n";
    dump(of, text);
    std::fputs(text.str().c_str(), stderr);
  } catch (...) {
    std::fprintf(stderr, "zsync: %s, and there is no memory to say which\n", heading);
  }
}

}  // namespace zsync::detail
