# LibTorch as imported target LibTorch::torch, from LIBTORCH_ROOT (CMake or environment variable: a folder with
# include/ and lib/) or from the torch wheel in the project's .venv.
#
# Ours rather than the wheel's find_package(Torch): that one enables CUDA as a language, overrides
# CMAKE_CUDA_ARCHITECTURES and warns about files that the wheel does not ship.
#
# Sets LibTorch_FOUND, LibTorch_ROOT, LibTorch_VERSION, LibTorch_CUDA (does this LibTorch have CUDA?).
if(NOT LIBTORCH_ROOT AND DEFINED ENV{LIBTORCH_ROOT})
  set(LIBTORCH_ROOT $ENV{LIBTORCH_ROOT})
endif()
file(GLOB _wheels ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
find_path(LibTorch_ROOT NAMES include/ATen/ATen.h HINTS ${LIBTORCH_ROOT} ${_wheels} NO_DEFAULT_PATH
          DOC "Folder of LibTorch with include/ and lib/")
find_library(LibTorch_LIBRARY torch HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_CUDA_LIBRARY torch_cuda HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
mark_as_advanced(LibTorch_LIBRARY LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_CUDA_LIBRARY LibTorch_C10_CUDA_LIBRARY)

# torch 2.10 moved the three numbers.
foreach(_header IN ITEMS torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(NOT LibTorch_VERSION AND EXISTS ${LibTorch_ROOT}/include/${_header})
    file(STRINGS ${LibTorch_ROOT}/include/${_header} _parts REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    list(TRANSFORM _parts REPLACE "[^0-9]*([0-9]+).*" "\\1")
    list(JOIN _parts "." LibTorch_VERSION)
  endif()
endforeach()
set(LibTorch_CUDA OFF)
if(LibTorch_CUDA_LIBRARY AND LibTorch_C10_CUDA_LIBRARY)
  set(LibTorch_CUDA ON)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT LibTorch_LIBRARY LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run launch/setup.sh, which installs the torch wheel into .venv, or set LIBTORCH_ROOT")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch INTERFACE IMPORTED)
  # After the system's own folders: the wheel ships headers of fmt and others too, of versions other than those that the
  # rest of the program is linked with.
  target_compile_options(LibTorch::torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-idirafter${LibTorch_ROOT}/include>
    $<$<COMPILE_LANGUAGE:CXX>:-idirafter${LibTorch_ROOT}/include/torch/csrc/api/include>)
  # libstdc++ first: the wheel's libtorch.so exports a copy of std::filesystem from an older compiler, whose remove_all()
  # calls a null pointer. Whichever library comes first serves the whole process.
  target_link_libraries(LibTorch::torch INTERFACE stdc++
    ${LibTorch_LIBRARY} ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY})
  if(XTASC_WITH_CUDA AND LibTorch_CUDA)
    # Nothing names a symbol of libtorch_cuda, so --as-needed would drop it and no GPU would be seen.
    target_link_libraries(LibTorch::torch INTERFACE
      "-Wl,--push-state,--no-as-needed" ${LibTorch_CUDA_LIBRARY} ${LibTorch_C10_CUDA_LIBRARY} "-Wl,--pop-state" CUDA::cudart)
  endif()
  # The wheel's own dependencies lie beside it in site-packages/nvidia; its libraries find them by RPATH,
  # the link editor needs to be told.
  file(GLOB _nvidia_libs LIST_DIRECTORIES true ${LibTorch_ROOT}/../nvidia/*/lib)
  foreach(_dir IN LISTS _nvidia_libs)
    target_link_options(LibTorch::torch INTERFACE "-Wl,-rpath-link,${_dir}")
  endforeach()
endif()
