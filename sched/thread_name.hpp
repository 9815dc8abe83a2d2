// What debuggers and top call the threads of a runtime. Not a public header.
#pragma once

#include <string_view>

namespace zsync::detail {

// Names the calling thread "runtime-role". The kernel keeps 15 bytes: of the runtime's name as many as the
// role leaves.
void name_this_thread(std::string_view runtime, std::string_view role) noexcept;

}  // namespace zsync::detail
