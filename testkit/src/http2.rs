//! Frames of HTTP/2, for what no client sends (RFC 9113).

/// How a connection begins.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The error of a GOAWAY for who overdoes it.
pub const ENHANCE_YOUR_CALM: u32 = 11;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;

/// The beginning of a connection, with its settings.
#[must_use]
pub fn opening() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// So many requests of a path, each of which is reset at once: none of them counts as open.
///
/// # Panics
/// Where the path has more than 126 bytes.
#[must_use]
pub fn resets(path: &str, requests: u32) -> Vec<u8> {
    let head = get(path);
    let one = |number: u32| {
        let stream = 2 * number + 1;
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
        [headers, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
    };
    (0..requests).flat_map(one).collect()
}

/// The beginning of a head that has no end.
///
/// # Panics
/// Where the path has more than 126 bytes.
#[must_use]
pub fn endless(path: &str) -> Vec<u8> {
    frame(HEADERS, 0, 1, &get(path))
}

/// How it goes on.
#[must_use]
pub fn continuation(part: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, 0, 1, part)
}

/// The error of the last GOAWAY among what a server has sent.
#[must_use]
pub fn goaway(mut frames: &[u8]) -> Option<u32> {
    let mut found = None;
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        if head[3] == GOAWAY {
            found = payload.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
        }
        frames = rest;
    }
    found
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET` of a path, as RFC 7541 writes it without a table.
fn get(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).ok().filter(|length| *length < 127).expect("a path is short");
    let mut block = vec![0x82, 0x86, 0x41, 1, b'x', 0x44, length];
    block.extend_from_slice(path.as_bytes());
    block
}
