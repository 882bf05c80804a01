# NCCL as imported target NCCL::nccl. The one that comes with the torch wheel is preferred, so that the process has one
# libnccl.so.2 and it is the one that torch was linked with; NCCL_ROOT (CMake or environment) overrides.
# Needs find_package(CUDAToolkit) and (LibTorch) before it.
# Sets NCCL_FOUND, NCCL_INCLUDE_DIR, NCCL_LIBRARY, NCCL_VERSION.
#
# Two searches each, since a hint alone does not win: the wheel has libnccl.so.2 only, and find_library() looks for its
# first name in every folder of the system before it looks for the second in the first folder. Not cached, so that a
# build folder never keeps a library that stands for another wheel.
set(_nccl_roots ${NCCL_ROOT} $ENV{NCCL_ROOT} ${LibTorch_ROOT}/../nvidia/nccl)
unset(_nccl_header)
unset(_nccl_library)
find_path(_nccl_header nccl.h PATHS ${_nccl_roots} PATH_SUFFIXES include NO_DEFAULT_PATH NO_CACHE)
find_path(_nccl_header nccl.h HINTS ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES include NO_CACHE)
find_library(_nccl_library NAMES nccl libnccl.so.2 NAMES_PER_DIR PATHS ${_nccl_roots} PATH_SUFFIXES lib lib64
             NO_DEFAULT_PATH NO_CACHE)
find_library(_nccl_library NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${CUDAToolkit_LIBRARY_DIR}
             PATH_SUFFIXES lib lib64 NO_CACHE)
string(REGEX REPLACE "/$" "" NCCL_INCLUDE_DIR "${_nccl_header}")
set(NCCL_LIBRARY ${_nccl_library})
if(NCCL_INCLUDE_DIR)
  file(STRINGS ${NCCL_INCLUDE_DIR}/nccl.h _parts REGEX "define NCCL_(MAJOR|MINOR|PATCH) [0-9]+")
  list(TRANSFORM _parts REPLACE "[^0-9]*([0-9]+).*" "\\1")
  list(JOIN _parts "." NCCL_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_INCLUDE_DIR NCCL_LIBRARY VERSION_VAR NCCL_VERSION)
if(NCCL_FOUND AND NOT TARGET NCCL::nccl)
  add_library(NCCL::nccl UNKNOWN IMPORTED)
  set_target_properties(NCCL::nccl PROPERTIES IMPORTED_LOCATION ${NCCL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
  target_link_libraries(NCCL::nccl INTERFACE CUDA::cudart)
endif()
