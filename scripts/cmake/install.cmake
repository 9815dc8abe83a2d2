# What `cmake --install` puts where: the library, its headers, and what find_package and pkg-config read.
include(CMakePackageConfigHelpers)

set_target_properties(zsync PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

install(TARGETS zsync EXPORT zsync-targets)
foreach(folder IN ITEMS fiber timer sched channel io)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/zsync
    FILES_MATCHING PATTERN "*.hpp")
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/zsync.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/zsync)

# A static library brings what it was linked with; a shared one has that inside.
get_target_property(zsync_type zsync TYPE)
get_target_property(zsync_linked zsync LINK_LIBRARIES)
set(ZSYNC_NEEDS_BOOST OFF)
set(ZSYNC_NEEDS_MODULES "")  # of pkg-config
set(ZSYNC_PC_LIBS "")
set(debian_packages "")
if(zsync_type STREQUAL "STATIC_LIBRARY")
  if(zsync_linked MATCHES "Boost::context")
    set(ZSYNC_NEEDS_BOOST ON)
    set(ZSYNC_PC_LIBS "-lboost_context")
    list(APPEND debian_packages "libboost-context1.81-dev | libboost-context-dev (>= 1.81)")
  endif()
  foreach(module IN ITEMS liburing libcares libkqueue)
    if(zsync_linked MATCHES "PkgConfig::${module}")
      list(APPEND ZSYNC_NEEDS_MODULES ${module})
    endif()
  endforeach()
  string(REPLACE "libcares" "libc-ares" module_packages "${ZSYNC_NEEDS_MODULES}")
  list(TRANSFORM module_packages APPEND "-dev" OUTPUT_VARIABLE module_packages)
  list(APPEND debian_packages ${module_packages})
endif()
list(JOIN ZSYNC_NEEDS_MODULES " " ZSYNC_NEEDS_MODULES)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zsync)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/zsync-config.cmake.in
  ${PROJECT_BINARY_DIR}/zsync-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/zsync-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/zsync-config.cmake ${PROJECT_BINARY_DIR}/zsync-config-version.cmake
  DESTINATION ${package_dir})
install(EXPORT zsync-targets NAMESPACE zsync:: DESTINATION ${package_dir})

# Relative to where the file is, so that an installed tree can be moved.
file(RELATIVE_PATH ZSYNC_PC_PREFIX
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/zsync.pc.in ${PROJECT_BINARY_DIR}/zsync.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zsync.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_file(${CMAKE_CURRENT_LIST_DIR}/zsync-sim.pc.in ${PROJECT_BINARY_DIR}/zsync-sim.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zsync-sim.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET zsync-interpose)
  foreach(module IN ITEMS zsync-interpose zsync-preloadable)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/${module}.pc.in ${PROJECT_BINARY_DIR}/${module}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${module}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endforeach()
endif()

# For gdb, to be sourced; and for the shared library where gdb finds it, which is by the library's path on the machine
# that it is installed on: of a package, that is not where the files are put together.
install(FILES ${PROJECT_SOURCE_DIR}/scripts/zsync-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/zsync)
if(zsync_type STREQUAL "SHARED_LIBRARY" AND UNIX AND NOT APPLE)
  install(CODE "
    set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
    if(prefix MATCHES \"/_CPack_Packages/[^/]+/[^/]+/[^/]+(/.*)\")
      set(prefix \"\${CMAKE_MATCH_1}\")
    endif()
    file(INSTALL \"${PROJECT_SOURCE_DIR}/scripts/zsync-gdb.py\" RENAME libzsync.so.${PROJECT_VERSION}-gdb.py
      DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/gdb/auto-load\${prefix}/${CMAKE_INSTALL_LIBDIR}\")
  ")
endif()

# `cpack` in a build directory makes a Debian package of the same.
if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME libzsync-dev)
  set(CPACK_PACKAGE_CONTACT "The zsync authors <zsync@localhost>")
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_STRIP_FILES OFF)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  if(zsync_type STREQUAL "STATIC_LIBRARY")
    list(JOIN debian_packages ", " CPACK_DEBIAN_PACKAGE_DEPENDS)
  else()
    set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  endif()
  include(CPack)
endif()
