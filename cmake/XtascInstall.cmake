# cmake --install --component programs: programs and the files that they or their users read, for launch/bundle.sh.
# Programs find libraries in lib/ beside bin/ first, then where the system has them.
include(GNUInstallDirs)
set(_programs xtasc-preprocess xtasc-train xtasc-evaluate xtasc-predict xtasc-export xtasc-inspect xtasc-bench
    xtasc-tabulate)
if(TARGET xtasc-sweep)
  list(APPEND _programs xtasc-sweep)
endif()
foreach(_program IN LISTS _programs)
  # RPATH, not RUNPATH: it holds for the libraries' own libraries too, which do not know where they lie.
  target_link_options(${_program} PRIVATE -Wl,--disable-new-dtags)
  set_target_properties(${_program} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
endforeach()
install(TARGETS ${_programs} RUNTIME COMPONENT programs)
install(DIRECTORY configs sweeps slurm DESTINATION share/xtasc COMPONENT programs
        PATTERN CMakeLists.txt EXCLUDE PATTERN cli EXCLUDE)
install(FILES results/paper_tables.toml DESTINATION share/xtasc/results COMPONENT programs)
# The Python package, for pip and for the peer, whose networks are in it.
install(DIRECTORY results/python DESTINATION share/xtasc/results COMPONENT programs
        FILES_MATCHING PATTERN *.py PATTERN py.typed PATTERN pyproject.toml PATTERN __pycache__ EXCLUDE
        PATTERN *.egg-info EXCLUDE PATTERN build EXCLUDE)
# launch/gpu_check.sh is for the machine that has the GPU, and xtasc-bench --peer for the one that has PyTorch.
install(PROGRAMS launch/gpu_check.sh DESTINATION share/xtasc/launch COMPONENT programs)
install(FILES launch/common.sh DESTINATION share/xtasc/launch COMPONENT programs)
install(DIRECTORY launch/bench/peer DESTINATION share/xtasc/launch/bench COMPONENT programs FILES_MATCHING PATTERN *.py)
