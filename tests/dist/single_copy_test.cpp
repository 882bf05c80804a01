// Whether Open MPI may copy messages once: asked in a child process for which the system call is allowed or forbidden.
#include "dist/single_copy.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>

namespace xtasc::dist {
namespace {

constexpr const char* kVariable = "OMPI_MCA_btl_vader_single_copy_mechanism";

/// As container engines do it: process_vm_readv fails with EPERM, in this process and its children, for ever.
bool forbid() {
  std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter = {.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/// The exit code of `work` in a child.
template <typename Work>
int in_child(const Work& work) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(work());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// What Open MPI would be told; "" for nothing.
std::string chosen() {
  choose_copy_mechanism();
  const char* value = std::getenv(kVariable);
  return value == nullptr ? "" : value;
}

constexpr int kCannotForbid = 77;

TEST(SingleCopy, WhereItIsForbiddenMessagesAreCopiedTwice) {
  const int code = in_child([] {
    ::unsetenv(kVariable);
    if (!forbid()) {
      return kCannotForbid;
    }
    return !may_read_sibling_memory() && chosen() == "none" ? 0 : 1;
  });
  if (code == kCannotForbid) {
    GTEST_SKIP() << "this kernel lets nobody forbid system calls";
  }
  EXPECT_EQ(code, 0);
}

TEST(SingleCopy, WhereItIsAllowedOpenMpiIsLeftAlone) {
  if (!may_read_sibling_memory()) {
    GTEST_SKIP() << "this machine forbids reading another process's memory";
  }
  EXPECT_EQ(in_child([] {
              ::unsetenv(kVariable);
              return chosen().empty() ? 0 : 1;
            }),
            0);
}

TEST(SingleCopy, WhatTheUserSaysStays) {
  EXPECT_EQ(in_child([] {
              ::setenv(kVariable, "emulated", 1);
              static_cast<void>(forbid());
              return chosen() == "emulated" ? 0 : 1;
            }),
            0);
}

TEST(SingleCopy, NoChildIsLeftBehind) {
  static_cast<void>(may_read_sibling_memory());
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace xtasc::dist
