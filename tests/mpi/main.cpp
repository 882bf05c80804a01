// One binary for all MPI tests, run under mpirun -np 2 and 3: every rank runs every test in the same order, and the
// job fails when any rank saw a failure.
#include <gtest/gtest.h>

#include "mpi/world.hpp"

namespace xtasc::test {
const dist::MpiSession* world = nullptr;
}

int main(int argc, char** argv) {
  const xtasc::dist::MpiSession session(&argc, &argv);
  xtasc::test::world = &session;
  testing::InitGoogleTest(&argc, argv);
  if (session.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int failed = RUN_ALL_TESTS();
  return static_cast<int>(session.max(failed));
}
