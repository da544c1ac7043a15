//! Requests with bodies of any kind, to a server in memory: none is answered with 5xx, and the memory
//! that one takes is bounded by a constant times its length.
//!
//! The first byte of the input chooses the path, the second one the kind of request; the rest is the
//! body. Of some kinds it is repeated, as it must be to reach a bound.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use libfuzzer_sys::fuzz_target;
use signet_fuzz::server::{Server, TOKEN};
use tokio::runtime::{Builder, Runtime};

/// What is allocated, and the most of it since the last request began, in bytes.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What any request may take, in bytes: keys, certificates, an answer.
const FREE: usize = 4 << 20;

/// What each byte of a body may take besides, up to what all nodes of one request may take: two bytes
/// are a node, and what was parsed lies beside what is made of it.
const EACH: usize = 512;
const ALL_NODES: usize = 20 << 20;

/// What each byte of a long text may take: sent, parsed, stored, shown, and each once more while it is made.
const TEXT: usize = 16;

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
            MOST.store(before, Ordering::Relaxed);
            let (status, answer) = server.send(request).await;
            let taken = MOST.load(Ordering::Relaxed).saturating_sub(before);
            let text = String::from_utf8_lossy(&answer[..answer.len().min(300)]);
            assert!(status < 500, "{method} {path}: {status} {text}");
            let allowed = FREE + (EACH * length).min(ALL_NODES) + TEXT * length;
            assert!(
                taken <= allowed,
                "{method} {path}: {taken} for {length} bytes: {status} {text}"
            );
        });
    });
});

/// A member whose list holds the input many times.
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
