# Every third-party component, found once, as imported targets.
find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(OpenCV REQUIRED COMPONENTS core imgproc)
find_package(Boost REQUIRED)  # headers: Boost.Math, Boost.CRC
find_package(JPEG REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Protobuf REQUIRED)  # the lite library and protoc
find_package(PkgConfig REQUIRED)
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)  # header-only: our own TOML_ASSERT must reach the parser
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
if(XTASC_WITH_CUDA)
  find_package(CUDAToolkit REQUIRED)
endif()
find_package(LibTorch REQUIRED)
if(XTASC_WITH_CUDA)
  if(NOT LibTorch_CUDA)
    message(FATAL_ERROR "nvcc was found, but this LibTorch (${LibTorch_ROOT}) has no CUDA: "
                        "use a CUDA build of LibTorch, or configure with -DXTASC_CUDA=OFF")
  endif()
  xtasc_check_toolkit(${CMAKE_CUDA_COMPILER_VERSION} ${CMAKE_CUDA_COMPILER} ${LibTorch_ROOT})
  find_package(NCCL REQUIRED)
  # First of all folders where programs look: others that they need (the toolkit's, for one) may hold another NCCL.
  cmake_path(GET NCCL_LIBRARY PARENT_PATH CMAKE_BUILD_RPATH)
endif()
if(XTASC_TESTS)
  find_package(GTest REQUIRED)
endif()

# Open MPI's C++ bindings are gone from the standard and from our link line.
add_library(xtasc_mpi INTERFACE)
target_link_libraries(xtasc_mpi INTERFACE MPI::MPI_C)
target_compile_definitions(xtasc_mpi INTERFACE OMPI_SKIP_MPICXX)

add_library(xtasc_hdf5 INTERFACE)
target_include_directories(xtasc_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(xtasc_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
