// What waits for channels, locks and selects are about. Not a public header; see sched/wait_details.hpp.
#pragma once

#include <zsync/sched/wait_details.hpp>

namespace zsync::detail {

// `sleeping` is what a wait of that kind is on. Defined in select.cpp.
void describe_select(const void* sleeping, wait_details& into);

}  // namespace zsync::detail
