# Modules of OpenCV as imported targets OpenCV::NAME, by COMPONENTS: core, imgproc.
#
# Debian ships OpenCVConfig.cmake only in libopencv-dev, which pulls in every module, their Java and Python parts and half a
# gigabyte; the modules that we use have -dev packages of their own. Not among them is imgcodecs, which loads GDAL, x265 and
# a hundred libraries more: libpng and libjpeg-turbo read and write our images.
find_path(OpenCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
mark_as_advanced(OpenCV_INCLUDE_DIR)
foreach(_module IN LISTS OpenCV_FIND_COMPONENTS)
  find_library(OpenCV_${_module}_LIBRARY opencv_${_module})
  mark_as_advanced(OpenCV_${_module}_LIBRARY)
  if(OpenCV_${_module}_LIBRARY)
    set(OpenCV_${_module}_FOUND TRUE)
  endif()
endforeach()
if(OpenCV_INCLUDE_DIR)
  file(STRINGS ${OpenCV_INCLUDE_DIR}/opencv2/core/version.hpp _parts
       REGEX "define CV_VERSION_(MAJOR|MINOR|REVISION) +[0-9]+")
  list(TRANSFORM _parts REPLACE "[^0-9]*([0-9]+).*" "\\1")
  list(JOIN _parts "." OpenCV_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCV REQUIRED_VARS OpenCV_INCLUDE_DIR VERSION_VAR OpenCV_VERSION HANDLE_COMPONENTS
  REASON_FAILURE_MESSAGE "run launch/setup.sh, or install libopencv-core-dev libopencv-imgproc-dev")
if(OpenCV_FOUND)
  foreach(_module IN LISTS OpenCV_FIND_COMPONENTS)
    if(NOT TARGET OpenCV::${_module})
      add_library(OpenCV::${_module} UNKNOWN IMPORTED)
      set_target_properties(OpenCV::${_module} PROPERTIES IMPORTED_LOCATION ${OpenCV_${_module}_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${OpenCV_INCLUDE_DIR})
    endif()
  endforeach()
endif()
