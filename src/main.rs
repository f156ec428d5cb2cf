//! argv in, become the runtime, report an error once. `no_main`, because Rust's own start-up ignores SIGPIPE and opens closed standard
//! descriptors, and the runtime would inherit both.
#![no_main]

use std::ffi::{c_char, c_int};

/// # Safety
/// Only the C start-up calls it, with the arguments the kernel passed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: these are the arguments of `main`.
    let args = unsafe { runc_guard::kernel::RawArgs::of_main(argc, argv) };
    runc_guard::run(args)
}
