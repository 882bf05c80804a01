#include "core/error.hpp"
#include "dist/communicator.hpp"

namespace xtasc::dist {

std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& /*session*/, GpuSharing /*sharing*/) {
  fail("this build has no CUDA, and so no NCCL");
}

std::string nccl_library_version() {
  fail("this build has no CUDA, and so no NCCL");
}

}  // namespace xtasc::dist
