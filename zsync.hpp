// The whole public surface of zsync.
#pragma once

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/local.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/stats.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/timer/clock.hpp>
#include <zsync/timer/deadline.hpp>
