//! HTTP/2 floods: frames that cost the server more than the client. Each kind ends its connection, and
//! the next client is served.

use super::*;

/// Sends until the connection ends; returns how many times it sent.
async fn rounds_until_closed(
    client: &mut Client,
    most: u32,
    mut bytes: impl FnMut(u32) -> Vec<u8>,
) -> u32 {
    for round in 0..most {
        if !client.send(&bytes(round)).await || client.ping().await.is_none() {
            return round;
        }
    }
    most
}

async fn serves_the_next(server: &Answering) {
    let mut next = Client::connect(server.address, &[]).await;
    next.send(&get(1, "/short")).await;
    let answer = soon("the next client is served", next.next_of(HEADERS)).await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[tokio::test]
async fn f02_rapid_reset_ends_the_connection_after_a_few_hundred_streams() {
    // In one segment, before the server processes a stream (rapid reset, CVE-2023-44487).
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let rounds = rounds_until_closed(&mut client, 100, |round| {
        let request = |index: u32| [get(2 * index + 1, "/slow"), reset(2 * index + 1)].concat();
        (round * 50..round * 50 + 50).flat_map(request).collect()
    });
    let rounds = soon("the connection ends", rounds).await;
    assert!(rounds < 10, "{rounds}");
    // While the handler is running.
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let rounds = rounds_until_closed(&mut client, 2_000, |round| {
        let before = if round > 0 { reset(2 * round - 1) } else { Vec::new() };
        [before, get(2 * round + 1, "/slow")].concat()
    });
    let rounds = soon("the connection ends", rounds).await;
    assert!((200..300).contains(&rounds), "{rounds}");
    assert!(server.counts.seen.load(Ordering::SeqCst) < 300);
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_a_client_that_reads_as_many_responses_as_it_resets_is_served() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let rounds = rounds_until_closed(&mut client, 500, |round| {
        let stream = 4 * round + 1;
        let before = if round > 0 { reset(stream - 4) } else { Vec::new() };
        let window = frame(WINDOW_UPDATE, 0, 0, &100_u32.to_be_bytes());
        [before, get(stream, "/slow"), get(stream + 2, "/short"), window].concat()
    });
    assert_eq!(soon("the connection stays open", rounds).await, 500);
}

#[tokio::test]
async fn f02_made_you_reset_ends_the_connection() {
    // A window increment of zero, and one that overflows the window (MadeYouReset, CVE-2025-8671).
    for increment in [0, 0x7fff_ffff_u32] {
        let server = Answering::with_defaults().await;
        let mut client = Client::connect(server.address, &[]).await;
        let rounds = rounds_until_closed(&mut client, 2_000, |round| {
            let stream = 2 * round + 1;
            let fault = frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
            [get(stream, "/slow"), fault].concat()
        });
        let rounds = soon("the connection ends", rounds).await;
        assert!(rounds < 300, "{increment}: {rounds}");
        assert!(server.counts.seen.load(Ordering::SeqCst) < 300);
        serves_the_next(&server).await;
    }
}

#[tokio::test]
async fn f02_a_continuation_flood_ends_the_connection() {
    // Empty, one-byte and full frames (CONTINUATION flood, CVE-2024-27316).
    for payload in [0, 1, 16_384] {
        let server = Answering::with_defaults().await;
        let mut client = Client::connect(server.address, &[]).await;
        client.send(&frame(HEADERS, END_STREAM, 1, &head("GET", "/short", &[]))).await;
        let part = literal("x", &"y".repeat(16_384));
        let endless = async {
            let mut sent = 0;
            while sent < 100_000
                && client.send(&frame(CONTINUATION, 0, 1, &part[..payload.min(part.len())])).await
            {
                sent += 1;
            }
            sent
        };
        let sent = soon("the connection ends", endless).await;
        assert!(sent < 100_000, "{payload}: {sent}");
        assert_eq!(server.counts.seen.load(Ordering::SeqCst), 0);
        serves_the_next(&server).await;
    }
}

#[tokio::test]
async fn f02_an_hpack_bomb_is_refused() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    // A header of 4,000 bytes enters the HPACK table; each further byte repeats it.
    let mut block = head("GET", "/short", &[]);
    let mut entry = literal("x", &"y".repeat(4_000));
    entry[0] = 0x40;
    block.extend(entry);
    block.extend([0xbe; 10_000]);
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
    // With a response, or by closing the connection.
    let answer = soon("it is refused", client.next_of(HEADERS)).await;
    assert!(answer.is_none_or(|answer| answer.status() == 431));
    assert_eq!(server.counts.seen.load(Ordering::SeqCst), 0);
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_a_ping_or_settings_flood_ends_the_connection() {
    let pings = frame(PING, 0, 0, b"12345678").repeat(1_000);
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(1_000);
    let priorities = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]).repeat(1_000);
    for flood in [pings, settings] {
        let server = Answering::with_short_limits().await;
        let mut client = Client::connect(server.address, &[]).await;
        client.send(&get(1, "/slow")).await;
        soon("the connection ends", async { while client.send(&flood).await {} }).await;
        serves_the_next(&server).await;
    }
    let server = Answering::with_short_limits().await;
    let mut client = Client::connect(server.address, &[]).await;
    let _rounds = rounds_until_closed(&mut client, 20, |_| priorities.clone()).await;
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_a_connection_without_requests_is_closed_despite_other_frames() {
    let limits = Limits { idle: SHORT, header: SHORT, ..Limits::default() };
    let server = Answering::start(limits, SendBudget::default()).await;
    let mut client = Client::connect(server.address, &[]).await;
    client.send(&get(1, "/short")).await;
    soon("a response", client.next_of(HEADERS)).await.expect("a response");
    soon("the connection ends", async { while client.ping().await.is_some() {} }).await;
}

#[tokio::test]
async fn f02_streams_that_never_end_get_the_request_timeout() {
    let limits = Limits { request: SHORT, ..Limits::default() };
    let server = Answering::start(limits, SendBudget::of(1_000_000, 0)).await;
    let mut client = Client::connect(server.address, &[]).await;
    for round in 0..2 {
        for index in 0..4 {
            let post = head("POST", "/body", &[]);
            client.send(&frame(HEADERS, END_HEADERS, 8 * round + 2 * index + 1, &post)).await;
        }
        // Their permits are released: the second round gets them.
        for _ in 0..4 {
            let answer = soon("a response", client.next_of(HEADERS)).await.expect("a response");
            assert_eq!((answer.status(), answer.flags & END_STREAM), (503, 0));
        }
        client.ping().await.expect("the connection stays open");
    }
}
