//! Calls as inputs: `VERB path?query`, a line for each header, an empty line, the body.

use std::cell::LazyCell;
use std::sync::LazyLock;
use std::time::Duration;

use api_gateway::rest::{self, Limits};
use bytes::Bytes;
use http::Request;
use prost_reflect::DescriptorPool;
use proto::{Catalog, Failure, Method, catalog};
use tokio::runtime::{Builder, Runtime};

/// Small, so that inputs exceed them.
pub(crate) const LIMITS: Limits = Limits { body_time: Duration::from_secs(60), body: 2048, parameter: 1024 };
/// For what was taken once and is sent in another form.
pub(crate) const WIDE: Limits = Limits { body_time: LIMITS.body_time, body: 1 << 20, parameter: 1 << 16 };

/// A contract with every type, beside ours: what is taken must not end with the types that today's methods use.
static EVERY_TYPE: LazyLock<Catalog> = LazyLock::new(|| {
    let gateway = concat!(env!("CARGO_MANIFEST_DIR"), "/../api-gateway/src/parameters");
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let mut compiler = protox::Compiler::new([gateway, contract]).expect("both folders are in the repository");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("every_type.proto").expect("the gateway's tests use it too");
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("it is compiled");
    Catalog::read(&pool).expect("the gateway's tests read it too")
});

/// The methods that are called by REST.
static METHODS: LazyLock<Vec<&'static Method>> = LazyLock::new(|| {
    let all = catalog().methods().iter().chain(EVERY_TYPE.methods());
    all.filter(|method| method.rest_path().is_some()).collect()
});

/// The method of a path; of one that is none any method, but always the same.
pub(crate) fn method(path: &str) -> &'static Method {
    let named = catalog().by_rest_path(path).or_else(|| EVERY_TYPE.by_rest_path(path));
    let any = || METHODS[path.bytes().map(usize::from).sum::<usize>() % METHODS.len()];
    named.unwrap_or_else(any)
}

/// A call that a client could send.
pub(crate) fn request(input: &[u8]) -> Option<Request<Bytes>> {
    let (head, body) = split(input, b"\n\n").unwrap_or((input, b""));
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let (verb, target) = split(lines.next()?, b" ")?;
    let mut request = Request::builder().method(verb).uri(target);
    for line in lines {
        let (name, value) = split(line, b":")?;
        request = request.header(name, value.trim_ascii());
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

/// What stands before the first of these separators, and what behind it.
pub(crate) fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|part| part == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// The call as the gateway reads it.
pub(crate) fn read(request: Request<Bytes>, limits: Limits) -> Result<rest::Call<'static>, Failure> {
    let method = method(request.uri().path());
    finish(rest::Call::read(method, request, limits))
}

/// Waits for what needs nothing but a clock.
pub(crate) fn finish<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: LazyCell<Runtime> =
            LazyCell::new(|| Builder::new_current_thread().enable_time().build().expect("a clock is there"));
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}
