//! The `signet` binary: passes the arguments and the environment to [`signet::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> =
    zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

#[expect(clippy::disallowed_methods, reason = "the one place that reads the real environment")]
fn main() -> ExitCode {
    ExitCode::from(signet::cli::main(std::env::args_os(), &|name| std::env::var(name).ok()))
}
