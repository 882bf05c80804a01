#pragma once

/// XTASC_MULTIVERSION before a function compiles it for several generations of x86 and picks one when the program
/// starts, so that one binary runs everywhere and uses AVX-512 where it is. The function's loops must be in it, or
/// inlined into it. Nothing elsewhere: other processors, and sanitizers, whose runtime is not up when the choice is
/// made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define XTASC_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define XTASC_MULTIVERSION
#endif

/// For the bodies that multiversioned functions share.
#define XTASC_INLINE [[gnu::always_inline]] inline
/// The same for a lambda, between its parameters and its body.
#define XTASC_INLINE_LAMBDA __attribute__((always_inline))
