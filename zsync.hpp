// The whole public surface of zsync.
#pragma once

#include <zsync/sched/error.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/timer/clock.hpp>
#include <zsync/timer/deadline.hpp>
