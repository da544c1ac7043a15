//! A value that must not be printed, compared carelessly or left behind.
//!
//! [`Secret`] has no `Debug` of its content, no `Display`, no `Clone` and no `PartialEq`;
//! its content is overwritten when it is dropped. [`Secret::expose`] is the only way in, and
//! a test holds the list of its callers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret value, overwritten with zeros when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps the value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one use that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<const N: usize> Secret<[u8; N]> {
    /// A copy on the heap, for a long-lived key: moving the owner then leaves no copy of the bytes on
    /// the stack.
    pub fn boxed(bytes: &[u8; N]) -> Box<Self> {
        let mut secret = Box::new(Self::new([0; N]));
        secret.0.copy_from_slice(bytes);
        secret
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares in time that depends on the lengths only.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Self {
        Self::new(value)
    }
}

/// Runs `work`, which handles keys, and overwrites the stack that it used after each poll: an idle
/// thread would keep copies there.
///
/// The future itself is on the heap, where the allocator overwrites freed memory.
pub async fn with_stack_wiped<F: Future + Send>(work: F) -> F::Output {
    let mut work: Pin<Box<dyn Future<Output = F::Output> + Send + '_>> = Box::pin(work);
    poll_fn(|context| {
        let outcome = step(work.as_mut(), context);
        overwrite_stack();
        outcome
    })
    .await
}

/// Not inlined: its frame begins where the frame of [`overwrite_stack`] does.
#[inline(never)]
fn step<T>(
    work: Pin<&mut (dyn Future<Output = T> + Send + '_)>,
    context: &mut Context<'_>,
) -> Poll<T> {
    work.poll(context)
}

#[inline(never)]
fn overwrite_stack() {
    let mut frame = [0_u8; STACK];
    black_box(&mut frame).zeroize();
}

/// Bytes to overwrite: deeper than opening the store goes, without optimisation too
/// (`tests/faults/memory.rs` checks); a thread has 2 MiB.
const STACK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(…)");
    }

    #[test]
    fn matches_only_the_same_bytes() {
        let secret = Secret::new(b"abc".to_vec());
        assert!(secret.matches(b"abc"));
        assert!(!secret.matches(b"abd"));
        assert!(!secret.matches(b"abcd"));
    }
}
