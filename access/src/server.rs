use std::time::Duration;

use tonic::transport::Server;

/// How many calls of one connection are worked on at once.
const CALLS_PER_CONNECTION: usize = 1024;

/// How many streams of one connection are open at once: as many calls as a gateway works on.
const STREAMS_PER_CONNECTION: u32 = 4096;

/// The largest head of a request, in bytes, and the largest frame.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
const MAX_FRAME_BYTES: u32 = 16 * 1024;

/// How many streams that a client has reset may wait to be accepted before its connection is ended. A gateway passes on what its
/// own clients reset, many at once where many give up.
const MAX_PENDING_RESETS: usize = 200;

/// How often a connection on which nothing comes is asked whether there is still somebody.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The server of a service, which holds each connection to what a gateway needs of one.
#[must_use]
pub fn server() -> Server {
    Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_keepalive_interval(Some(KEEP_ALIVE))
}
