#include "model/nets/kd4mtl.hpp"

#include "model/nets/mtan.hpp"
#include "net/kd4mtl.hpp"

namespace xtasc::model {

std::unique_ptr<Network> make_kd4mtl(const NetworkOptions& options) {
  return make_mtan(options, net::kd4mtl(options.choice));
}

}  // namespace xtasc::model
