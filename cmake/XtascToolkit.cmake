# Does a CUDA toolkit fit a LibTorch? Functions only, so that tests call them in script mode.
#
# xtasc_known_architectures(OUT NVCC ARCHITECTURES...)  those of which this nvcc can make machine code
# xtasc_torch_cuda(OUT LIBTORCH_ROOT)                   the CUDA version that LibTorch was built with, e.g. 13.0, or 13
#                                                       where only its libraries tell; empty: neither tells
# xtasc_check_toolkit(NVCC_VERSION NVCC LIBTORCH_ROOT)  a fatal error where the two have different major versions

function(xtasc_known_architectures out nvcc)
  execute_process(COMMAND ${nvcc} --list-gpu-arch OUTPUT_VARIABLE listing RESULT_VARIABLE code ERROR_QUIET)
  if(NOT code EQUAL 0)
    set(${out} ${ARGN} PARENT_SCOPE)  # an nvcc that cannot list them says itself what it does not know
    return()
  endif()
  set(known)
  foreach(architecture IN LISTS ARGN)
    if(listing MATCHES "compute_${architecture}[ \t\r\n]")
      list(APPEND known ${architecture})
    endif()
  endforeach()
  set(${out} ${known} PARENT_SCOPE)
endfunction()

function(xtasc_torch_cuda out root)
  set(version)
  if(EXISTS ${root}/version.py)  # of a wheel
    file(STRINGS ${root}/version.py line REGEX "^cuda[ :=].*'[0-9.]+'")
    string(REGEX MATCH "[0-9]+\\.[0-9]+" version "${line}")
  endif()
  if(NOT version)
    find_program(XTASC_READELF NAMES readelf llvm-readelf NO_CACHE)
    execute_process(COMMAND ${XTASC_READELF} -dW ${root}/lib/libtorch_cuda.so OUTPUT_VARIABLE needed ERROR_QUIET)
    if(needed MATCHES "libcudart[^]]*\\.so\\.([0-9]+)")
      set(version ${CMAKE_MATCH_1})
    endif()
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

function(xtasc_check_toolkit nvcc_version nvcc root)
  xtasc_torch_cuda(torch_cuda ${root})
  string(REGEX MATCH "^[0-9]+" wanted "${torch_cuda}")
  string(REGEX MATCH "^[0-9]+" found "${nvcc_version}")
  if(wanted AND NOT found STREQUAL wanted)
    message(FATAL_ERROR
      "XTasC: ${nvcc} is of CUDA ${nvcc_version}, but this LibTorch (${root}) is built with CUDA ${torch_cuda}, and one "
      "process cannot have both runtimes: take a toolkit of CUDA ${wanted} (module load, or CUDACXX=.../bin/nvcc), a "
      "LibTorch for CUDA ${found} (LIBTORCH_ROOT), or configure with -DXTASC_CUDA=OFF")
  endif()
endfunction()
