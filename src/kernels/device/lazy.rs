//! CUDA's libraries, opened when they are first called, so that a program built with CUDA starts without them.
//!
//! candle links the driver, cuBLAS, cuRAND and the runtime as ordinary shared libraries: a program that needs them
//! cannot even start on a machine that lacks one. So the functions that are called get an entry of the same name here.
//! The linker finds it before the libraries, finds nothing else to take from them, and does not write them down as
//! needed.
//!
//! An entry jumps to where its record points. At first that is [`nudge_lazy_resolve`], which opens the library, looks
//! the function up and corrects the record; from then on an entry costs one jump. Where a library is missing the record
//! points to a function that says "there is no device", which is how the rest of the program then sees it.
//!
//! A function that is called but not listed here costs only this: the program needs its library to start, as before.
#![expect(
    unsafe_code,
    reason = "entries that pass on any arguments are written in assembly, and libraries are opened through C"
)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// Libraries by the number their records carry, newest names first.
const LIBRARIES: [&[&CStr]; 4] = [
    &[c"libcuda.so.1", c"libcuda.so"],
    &[c"libcublas.so.13", c"libcublas.so.12", c"libcublas.so"],
    &[c"libcurand.so.10", c"libcurand.so"],
    &[c"libcudart.so.13", c"libcudart.so.12", c"libcudart.so"],
];

/// Folders that are tried after the system's own.
const FOLDERS: [&str; 2] = ["/usr/local/cuda/lib64", "/opt/cuda/lib64"];

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The first library that this machine lacks, by its usual name.
pub(super) fn missing() -> Option<&'static str> {
    (0..LIBRARIES.len()).find(|&number| library(number).is_null()).and_then(|number| LIBRARIES[number][0].to_str().ok())
}

/// Opens a library, or finds it open.
fn library(number: usize) -> *mut c_void {
    /// Resolve at once, and keep the names to ourselves.
    const NOW: c_int = 2;
    for name in LIBRARIES[number] {
        // SAFETY: a string that ends in 0; opening NVIDIA's libraries runs only their own start-up code.
        let opened = unsafe { dlopen(name.as_ptr(), NOW) };
        if !opened.is_null() {
            return opened;
        }
    }
    let from_environment = ["CUDA_HOME", "CUDA_PATH"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .flat_map(|home| [format!("{home}/lib64"), format!("{home}/lib")]);
    for folder in from_environment.chain(FOLDERS.map(str::to_owned)) {
        for name in LIBRARIES[number] {
            let path = format!("{folder}/{}\0", name.to_string_lossy());
            // SAFETY: as above.
            let opened = unsafe { dlopen(path.as_ptr().cast(), NOW) };
            if !opened.is_null() {
                return opened;
            }
        }
    }
    ptr::null_mut()
}

/// What an entry jumps through. Written by the assembly below; the name follows, ending in 0.
///
/// The target is read by an entry's jump, which takes an aligned address in one piece, and written while other threads
/// may be jumping: so it is an atomic here.
#[repr(C)]
struct Record {
    target: AtomicPtr<c_void>,
    library: usize,
    name: [c_char; 0],
}

/// Looks a function up and corrects its record. Two threads may do so at once; both write the same address.
///
/// # Safety
/// `record` is one of the records below. Called before `main` too (CUDA's runtime registers its code then), so it uses
/// nothing that starts later.
#[unsafe(no_mangle)]
unsafe extern "C" fn nudge_lazy_resolve(record: *const Record) -> *const c_void {
    // SAFETY: the record is static, its library and name never change, and the name ends in 0.
    unsafe {
        let number = (*record).library;
        let opened = library(number);
        let name = (&raw const (*record).name).cast::<c_char>();
        let found = if opened.is_null() { ptr::null_mut() } else { dlsym(opened, name) };
        let target: *const c_void = if !found.is_null() {
            found
        } else if number == 1 {
            no_cublas as *const c_void
        } else if CStr::from_ptr(name).to_bytes().starts_with(b"__") {
            nothing as *const c_void
        } else {
            no_device as *const c_void
        };
        // Whoever sees the new target needs nothing else that was written here.
        (*record).target.store(target.cast_mut(), Ordering::Relaxed);
        target
    }
}

/// `CUDA_ERROR_NO_DEVICE`, `cudaErrorNoDevice` and, in cuRAND, a version that does not fit: the same number.
extern "C" fn no_device() -> c_int {
    100
}

/// `CUBLAS_STATUS_NOT_INITIALIZED`.
extern "C" fn no_cublas() -> c_int {
    1
}

/// The runtime's registration of code that will never run.
extern "C" fn nothing() -> usize {
    0
}

macro_rules! lazy {
    ($($library:literal: $($name:ident)*;)*) => {
        core::arch::global_asm!(
            ".macro nudge_lazy name, library",
            ".pushsection .data.nudge_lazy_\\name, \"aw\", @progbits",
            ".balign 8",
            "nudge_lazy_record_\\name:",
            ".quad nudge_lazy_first_\\name",
            ".quad \\library",
            ".asciz \"\\name\"",
            ".popsection",
            ".pushsection .text.nudge_lazy, \"ax\", @progbits",
            ".globl \\name",
            ".type \\name, @function",
            "\\name:",
            "jmp *nudge_lazy_record_\\name(%rip)",
            "nudge_lazy_first_\\name:",
            "leaq nudge_lazy_record_\\name(%rip), %r11",
            "jmp nudge_lazy_first",
            ".popsection",
            ".endm",
            $($(concat!("nudge_lazy ", stringify!($name), ", ", $library),)*)*
            // Every register that may hold an argument is kept over the look-up.
            ".pushsection .text.nudge_lazy, \"ax\", @progbits",
            "nudge_lazy_first:",
            "pushq %rbp",
            "movq %rsp, %rbp",
            "subq $192, %rsp",
            "movq %rdi, 0(%rsp)",
            "movq %rsi, 8(%rsp)",
            "movq %rdx, 16(%rsp)",
            "movq %rcx, 24(%rsp)",
            "movq %r8, 32(%rsp)",
            "movq %r9, 40(%rsp)",
            "movq %rax, 48(%rsp)",
            "movups %xmm0, 64(%rsp)",
            "movups %xmm1, 80(%rsp)",
            "movups %xmm2, 96(%rsp)",
            "movups %xmm3, 112(%rsp)",
            "movups %xmm4, 128(%rsp)",
            "movups %xmm5, 144(%rsp)",
            "movups %xmm6, 160(%rsp)",
            "movups %xmm7, 176(%rsp)",
            "movq %r11, %rdi",
            "call nudge_lazy_resolve",
            "movq %rax, %r11",
            "movq 0(%rsp), %rdi",
            "movq 8(%rsp), %rsi",
            "movq 16(%rsp), %rdx",
            "movq 24(%rsp), %rcx",
            "movq 32(%rsp), %r8",
            "movq 40(%rsp), %r9",
            "movq 48(%rsp), %rax",
            "movups 64(%rsp), %xmm0",
            "movups 80(%rsp), %xmm1",
            "movups 96(%rsp), %xmm2",
            "movups 112(%rsp), %xmm3",
            "movups 128(%rsp), %xmm4",
            "movups 144(%rsp), %xmm5",
            "movups 160(%rsp), %xmm6",
            "movups 176(%rsp), %xmm7",
            "leave",
            "jmp *%r11",
            ".popsection",
            options(att_syntax)
        );
    };
}

lazy! {
    0: cuCtxDestroy_v2 cuCtxGetCurrent cuCtxSetCurrent cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount
       cuDeviceGetDefaultMemPool cuDeviceGetName cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxRetain cuEventCreate
       cuEventDestroy_v2 cuEventRecord cuGetErrorString cuInit cuLaunchKernel cuMemAllocAsync cuMemAlloc_v2
       cuMemFreeAsync cuMemFree_v2 cuMemGetInfo_v2 cuMemPoolGetAttribute cuMemPoolSetAttribute cuMemPoolTrimTo
       cuMemcpyDtoDAsync_v2 cuMemcpyDtoHAsync_v2 cuMemcpyHtoDAsync_v2 cuMemcpyPeerAsync cuMemsetD8Async
       cuModuleGetFunction cuModuleLoad cuModuleLoadData cuModuleUnload cuStreamDestroy_v2 cuStreamIsCapturing
       cuStreamSynchronize cuStreamWaitEvent;
    1: cublasCreate_v2 cublasDestroy_v2 cublasDgemmStridedBatched cublasGemmStridedBatchedEx cublasSetStream_v2;
    2: curandCreateGenerator curandDestroyGenerator curandGenerateNormal curandGenerateNormalDouble
       curandGenerateUniform curandGenerateUniformDouble curandSetPseudoRandomGeneratorSeed curandSetStream;
    3: __cudaGetKernel __cudaLaunchKernel_ptsz __cudaPopCallConfiguration __cudaPushCallConfiguration
       __cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaRegisterFunction __cudaRegisterVar
       __cudaUnregisterFatBinary cudaDeviceGetAttribute cudaFree cudaFreeAsync_ptsz cudaFuncGetAttributes
       cudaFuncSetAttribute cudaGetDevice cudaGetDeviceCount cudaGetErrorName cudaGetErrorString cudaGetLastError
       cudaMalloc cudaMallocAsync_ptsz cudaMemsetAsync_ptsz cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
       cudaPeekAtLastError cudaSetDevice cudaStreamSynchronize_ptsz;
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn cuInit(flags: u32) -> c_int;
        fn cuDeviceGetCount(count: *mut c_int) -> c_int;
        fn cublasDestroy_v2(handle: *mut c_void) -> c_int;
        fn cudaGetDeviceCount(count: *mut c_int) -> c_int;
    }

    /// With the libraries or without: the entries pass their arguments on and give an answer, twice the same.
    #[test]
    fn an_entry_answers_whatever_is_installed() {
        let mut count: c_int = -7;
        // SAFETY: the arguments are those of CUDA's headers; a null handle is refused by cuBLAS.
        let (first, again, counted, runtime, destroyed) = unsafe {
            (
                cuInit(0),
                cuInit(0),
                cuDeviceGetCount(&raw mut count),
                cudaGetDeviceCount(&raw mut count),
                cublasDestroy_v2(ptr::null_mut()),
            )
        };
        assert_eq!(first, again);
        match missing() {
            Some("libcuda.so.1") => assert_eq!((first, counted), (100, 100)),
            _ if first == 0 => assert!(counted == 0 && runtime == 0 && count >= 0),
            _ => assert!(first != 0 && counted != 0),
        }
        assert_eq!(destroyed, 1, "cuBLAS: not initialised");
    }
}
