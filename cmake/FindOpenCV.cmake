# OpenCV's core, imgproc and imgcodecs as xtasc's one target OpenCV::needed.
#
# Debian ships OpenCVConfig.cmake only in libopencv-dev, which pulls in every module, their Java and Python parts and half a
# gigabyte; the three modules that we use have -dev packages of their own.
find_path(OpenCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
set(_libraries)
foreach(_module IN ITEMS core imgproc imgcodecs)
  find_library(OpenCV_${_module}_LIBRARY opencv_${_module})
  mark_as_advanced(OpenCV_${_module}_LIBRARY)
  list(APPEND _libraries OpenCV_${_module}_LIBRARY)
endforeach()
if(OpenCV_INCLUDE_DIR)
  file(STRINGS ${OpenCV_INCLUDE_DIR}/opencv2/core/version.hpp _parts
       REGEX "define CV_VERSION_(MAJOR|MINOR|REVISION) +[0-9]+")
  list(TRANSFORM _parts REPLACE "[^0-9]*([0-9]+).*" "\\1")
  list(JOIN _parts "." OpenCV_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCV REQUIRED_VARS OpenCV_INCLUDE_DIR ${_libraries} VERSION_VAR OpenCV_VERSION
  REASON_FAILURE_MESSAGE "run launch/setup.sh, or install libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev")
mark_as_advanced(OpenCV_INCLUDE_DIR)
if(OpenCV_FOUND AND NOT TARGET OpenCV::needed)
  add_library(OpenCV::needed INTERFACE IMPORTED)
  set_target_properties(OpenCV::needed PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${OpenCV_INCLUDE_DIR})
  foreach(_library IN LISTS _libraries)
    target_link_libraries(OpenCV::needed INTERFACE ${${_library}})
  endforeach()
endif()
