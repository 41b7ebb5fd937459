/* Where kernels are built, and for which instructions they are compiled. models/processor.py chooses which of them
runs. For another processor or compiler, the modules are empty. */

#ifndef PROCESSOR_H
#define PROCESSOR_H

#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 14 : __GNUC__ >= 10)
#define IS_BUILT 1
#else
#define IS_BUILT 0
#endif

/* tests/native/emulated_avx512.h defines them differently: with it, AVX-512's kernels run on other processors too. */
#ifndef AVX512
#define AVX512 "avx512f,fma"
#define AVX512_BF16 "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"
#endif
#define AVX2 "avx2,fma"

/* Loops with a known number of turns are unrolled: otherwise their arrays of vectors would not be kept in registers. */
#define PRAGMA(text) _Pragma(#text)
#if defined(IS_SANITIZED)
#define UNROLL(turns) /* unrolled code takes minutes to compile with all the sanitizers' checks */
#elif defined(__clang__)
#define UNROLL(turns) PRAGMA(clang loop unroll(full))
#else
#define UNROLL(turns) PRAGMA(GCC unroll turns)
#endif

#define ROUND_UP(number, step) (((number) + (step) - 1) / (step) * (step))

#endif
