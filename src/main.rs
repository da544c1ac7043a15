//! The `signet` binary: hands the arguments and the environment to [`signet::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[expect(clippy::disallowed_methods, reason = "the one place that reads the real environment")]
fn main() -> ExitCode {
    ExitCode::from(signet::cli::main(std::env::args_os(), &|name| std::env::var(name).ok()))
}
