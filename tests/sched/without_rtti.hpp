// Code of users who build without type information, and whose fibers therefore carry none.
#pragma once

namespace without_rtti {

// In a fiber: a group with children that wait, nested, waited for and cancelled. How many have ended.
int children_of_groups();

}  // namespace without_rtti
