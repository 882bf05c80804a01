#include "core/error.hpp"
#include "gpu/gpu.hpp"

namespace xtasc::gpu {

namespace {

[[noreturn]] void refuse() {
  fail("this build has no CUDA");
}

}  // namespace

std::optional<Versions> versions() {
  return std::nullopt;
}
Presence presence() {
  return {};
}
std::string bus_id(int) {
  refuse();
}
std::string name(int) {
  refuse();
}
int current() {
  refuse();
}
void make_current(int) {
  refuse();
}
void synchronize() {
  refuse();
}
Memory memory(int) {
  refuse();
}
void release_cached_memory() {
  refuse();
}
void push_range(const std::string&) {
  refuse();
}
void pop_range() {
  refuse();
}
WaitingThrows::WaitingThrows() {
  refuse();
}
WaitingThrows::~WaitingThrows() = default;

}  // namespace xtasc::gpu
