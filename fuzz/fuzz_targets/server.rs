//! Requests with any body, to a server in memory: none is answered with 5xx, and the memory of one
//! request is at most a constant plus a multiple of its length.
//!
//! The first byte of the input selects the path, the second one the kind of request; the rest is the
//! body. Some kinds repeat it, to reach a limit.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use libfuzzer_sys::fuzz_target;
use signet_fuzz::server::{Server, TOKEN};
use tokio::runtime::{Builder, Runtime};

/// Counts the allocated bytes, and their peak since the last request began.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that any request may allocate: keys, certificates, an answer.
const BASE: usize = 4 << 20;

/// Additional bytes for each byte of a body, up to the maximum for all nodes of a request: a node
/// takes two bytes of the body, and its parsed and converted forms exist at the same time.
const PER_BYTE: usize = 512;
const ALL_NODES: usize = 20 << 20;

/// Bytes for each byte of a long text: sent, parsed, stored and shown, each with a copy.
const PER_TEXT_BYTE: usize = 16;

const PATHS: &[&str] = &[
    "pki/issue/web",
    "pki/roles/web",
    "pki/roles/other",
    "pki/sign/web",
    "pki/revoke",
    "pki/config/urls",
    "pki/config/issuers",
    "pki/config/cluster",
    "pki/issuer/default",
    "pki/root/sign-intermediate",
    "pki/issuer/default/sign-intermediate",
    "pki/intermediate/set-signed",
    "pki/issuer/default/issue/web",
    "sys/mounts/other",
    "sys/mounts/pki/tune",
    "sys/init",
    "sys/nowhere",
    "auth/token/renew-self",
    "pki/nowhere",
    "pki/crl",
    "nowhere",
];

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

fuzz_target!(|input: &[u8]| {
    let [path, kind, body @ ..] = input else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let body = match kind >> 5 {
        0..4 => body.to_vec(),
        4 => around(body, 1_000),
        5 => around(body, 9_000),
        6 => [b"{\"allowed_domains\":\"", &*body.repeat(2_000), b"\"}"].concat(),
        _ => [b"{\"common_name\":\"a\",\"alt_names\":\"", &*body.repeat(2_000), b"\"}"].concat(),
    };
    let length = body.len() + path.len();
    let (method, media) = match kind & 0b11 {
        0 => ("POST", "application/x-www-form-urlencoded"),
        1 => ("PATCH", "application/merge-patch+json"),
        _ => ("PUT", "application/json"),
    };
    let token = if kind & 0b1_1100 == 0 { "wrong" } else { TOKEN };
    let request = Request::builder()
        .method(method)
        .uri(format!("/v1/{path}"))
        .header("content-type", media)
        .header("x-vault-token", token)
        .body(Bytes::from(body))
        .expect("a request");
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let server = Server::new().await;
            let before = NOW.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let (status, answer) = server.send(request).await;
            let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
            let text = String::from_utf8_lossy(&answer[..answer.len().min(300)]);
            assert!(status < 500, "{method} {path}: {status} {text}");
            let allowed = BASE + (PER_BYTE * length).min(ALL_NODES) + PER_TEXT_BYTE * length;
            assert!(
                taken <= allowed,
                "{method} {path}: {taken} for {length} bytes: {status} {text}"
            );
        });
    });
});

/// An object with a list that repeats the input.
fn around(body: &[u8], times: usize) -> Vec<u8> {
    let times = times.min((8 << 20) / body.len().max(1));
    let mut whole = b"{\"a\":[".to_vec();
    for _ in 0..times {
        whole.extend_from_slice(body);
        whole.push(b',');
    }
    whole.extend_from_slice(b"0]}");
    whole
}
