# Included by ctest, not by cmake: asks a test program for the names of its tests and adds each as a test of
# its own. Done when ctest runs, so that a build neither runs what it builds nor fails with it.
#
# program: the test program; prefix: of the tests' names; timeout, timeout_slow: seconds, the second for
# tests tagged [slow]. A test tagged [serial] runs alone. [slow] and [turns] are labels of ctest's as well.

cmake_policy(VERSION 3.25)

function(zsync_test_names program spec result)
  # Catch 2 returns the number of tests, so only a crash counts as a failure.
  execute_process(COMMAND "${program}" --names "${spec}" OUTPUT_VARIABLE output RESULT_VARIABLE status)
  if(NOT status MATCHES "^[0-9]+$")
    set(output "(the list of its tests: ${status})")
  endif()
  string(REPLACE ";" "\\;" output "${output}")
  string(REPLACE "\n" ";" output "${output}")
  list(REMOVE_ITEM output "")
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

function(zsync_discover_tests program prefix timeout timeout_slow)
  if(NOT EXISTS "${program}")
    add_test("${prefix}: its program is not built" "${program}")
    return()
  endif()
  zsync_test_names("${program}" "~[.]" names)
  zsync_test_names("${program}" "[slow]~[.]" slow_names)
  zsync_test_names("${program}" "[serial]~[.]" serial_names)
  zsync_test_names("${program}" "[turns]~[.]" turns_names)
  foreach(name IN LISTS names)
    string(REGEX REPLACE "([],[\"\\])" "\\\\\\1" pattern "${name}")
    set(test "${prefix}: ${name}")
    add_test("${test}" "${program}" "${pattern}")
    set(labels ${prefix})
    set(allowed ${timeout})
    if(name IN_LIST turns_names)
      list(APPEND labels turns)
    endif()
    if(name IN_LIST slow_names)
      list(APPEND labels slow)
      set(allowed ${timeout_slow})
    endif()
    set_tests_properties("${test}" PROPERTIES TIMEOUT ${allowed} LABELS "${labels}")
    if(name IN_LIST serial_names)
      set_tests_properties("${test}" PROPERTIES RUN_SERIAL TRUE)
    endif()
  endforeach()
endfunction()
