//! Frames that cost a server more than their sender: each kind ends its connection, and the next client is
//! served.

use super::*;

/// Sends until the connection ends; how often it did.
async fn until_it_ends(
    client: &mut Client,
    most: u32,
    mut bytes: impl FnMut(u32) -> Vec<u8>,
) -> u32 {
    for turn in 0..most {
        if !client.send(&bytes(turn)).await || client.ping().await.is_none() {
            return turn;
        }
    }
    most
}

async fn serves_the_next(server: &Answering) {
    let mut next = Client::connect(server.address, &[]).await;
    next.send(&get(1, "/short")).await;
    let answer = soon("the next is served", next.next_of(HEADERS)).await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[tokio::test]
async fn f02_a_client_that_resets_its_streams_is_cut_after_a_few_hundred() {
    // In one segment, before the server looks at a stream (CVE-2023-44487).
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let turns = until_it_ends(&mut client, 100, |turn| {
        let of_one = |place: u32| [get(2 * place + 1, "/slow"), reset(2 * place + 1)].concat();
        (turn * 50..turn * 50 + 50).flat_map(of_one).collect()
    });
    let turns = soon("it ends", turns).await;
    assert!(turns < 10, "{turns}");
    // And while the handler works on it.
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let turns = until_it_ends(&mut client, 2_000, |turn| {
        let before = if turn > 0 { reset(2 * turn - 1) } else { Vec::new() };
        [before, get(2 * turn + 1, "/slow")].concat()
    });
    let turns = soon("it ends", turns).await;
    assert!((200..300).contains(&turns), "{turns}");
    assert!(server.counts.seen.load(Ordering::SeqCst) < 300);
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_a_client_that_takes_as_many_answers_as_it_gives_up_goes_on() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    let turns = until_it_ends(&mut client, 500, |turn| {
        let stream = 4 * turn + 1;
        let before = if turn > 0 { reset(stream - 4) } else { Vec::new() };
        let window = frame(WINDOW_UPDATE, 0, 0, &100_u32.to_be_bytes());
        [before, get(stream, "/slow"), get(stream + 2, "/short"), window].concat()
    });
    assert_eq!(soon("it goes on", turns).await, 500);
}

#[tokio::test]
async fn f02_a_client_whose_frames_make_the_server_reset_streams_is_cut() {
    // A window that grows by nothing, and one that overflows (CVE-2025-8671).
    for increment in [0, 0x7fff_ffff_u32] {
        let server = Answering::with_defaults().await;
        let mut client = Client::connect(server.address, &[]).await;
        let turns = until_it_ends(&mut client, 2_000, |turn| {
            let stream = 2 * turn + 1;
            let fault = frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
            [get(stream, "/slow"), fault].concat()
        });
        let turns = soon("it ends", turns).await;
        assert!(turns < 300, "{increment}: {turns}");
        assert!(server.counts.seen.load(Ordering::SeqCst) < 300);
        serves_the_next(&server).await;
    }
}

#[tokio::test]
async fn f02_headers_without_an_end_end_the_connection() {
    // CVE-2024-27316: nothing in each, a byte in each, much in each.
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
        let sent = soon("it ends", endless).await;
        assert!(sent < 100_000, "{payload}: {sent}");
        assert_eq!(server.counts.seen.load(Ordering::SeqCst), 0);
        serves_the_next(&server).await;
    }
}

#[tokio::test]
async fn f02_a_few_bytes_that_decode_to_many_headers_are_refused() {
    let server = Answering::with_defaults().await;
    let mut client = Client::connect(server.address, &[]).await;
    // A header of 4,000 bytes enters the table of HPACK; a byte each repeats it.
    let mut block = head("GET", "/short", &[]);
    let mut entry = literal("x", &"y".repeat(4_000));
    entry[0] = 0x40;
    block.extend(entry);
    block.extend([0xbe; 10_000]);
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
    // With an answer, or with the end of the connection.
    let answer = soon("it is refused", client.next_of(HEADERS)).await;
    assert!(answer.is_none_or(|answer| answer.status() == 431));
    assert_eq!(server.counts.seen.load(Ordering::SeqCst), 0);
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_answers_to_pings_and_settings_that_are_not_read_end_the_connection() {
    let pings = frame(PING, 0, 0, b"12345678").repeat(1_000);
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(1_000);
    let priorities = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]).repeat(1_000);
    for flood in [pings, settings] {
        let server = Answering::with_short_limits().await;
        let mut client = Client::connect(server.address, &[]).await;
        client.send(&get(1, "/slow")).await;
        soon("it ends", async { while client.send(&flood).await {} }).await;
        serves_the_next(&server).await;
    }
    let server = Answering::with_short_limits().await;
    let mut client = Client::connect(server.address, &[]).await;
    let _whether = until_it_ends(&mut client, 20, |_| priorities.clone()).await;
    serves_the_next(&server).await;
}

#[tokio::test]
async fn f02_a_connection_without_requests_is_left_whatever_frames_come() {
    let limits = Limits { idle: SHORT, header: SHORT, ..Limits::default() };
    let server = Answering::start(limits, SendBudget::default()).await;
    let mut client = Client::connect(server.address, &[]).await;
    client.send(&get(1, "/short")).await;
    soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
    soon("it ends", async { while client.ping().await.is_some() {} }).await;
}

#[tokio::test]
async fn f02_streams_that_are_never_ended_have_the_time_of_a_request() {
    let limits = Limits { request: SHORT, ..Limits::default() };
    let server = Answering::start(limits, SendBudget::of(1_000_000, 0)).await;
    let mut client = Client::connect(server.address, &[]).await;
    for round in 0..2 {
        for place in 0..4 {
            let post = head("POST", "/body", &[]);
            client.send(&frame(HEADERS, END_HEADERS, 8 * round + 2 * place + 1, &post)).await;
        }
        // Their places are given back: the second round finds them.
        for _ in 0..4 {
            let answer = soon("an answer", client.next_of(HEADERS)).await.expect("an answer");
            assert_eq!((answer.status(), answer.flags & END_STREAM), (503, 0));
        }
        client.ping().await.expect("the connection goes on");
    }
}
