//! `docs/errors.md` is made from the contract. `UPDATE_DOCS=1 cargo test -p proto --test errors` makes it anew.

use std::path::Path;

use proto::ErrorKind;

const HEAD: &str = "# Errors

<!-- Made from proto/portcullis/api/v1/error.proto by `UPDATE_DOCS=1 cargo test -p proto --test errors`: edit that. -->

Every answer of the REST API is HTTP 200 with a member `result`: 0 for success, else one of the numbers below, with `error` (a
sentence that names what is wrong), `reason` (a stable name for programs) and `source` (`JEL`). What a failure is about is told in
members of its own: `parameter`, `permission`; `permissions` are those that open the method; `retryAfter` is a number of seconds, which
the header `Retry-After` says as well: what is told it was not executed. A request that is none is answered so too,
and its connection closed: one whose head has more than 64 KiB or 100 fields, or is malformed, or whose URL is not percent-encoded.

A caller that accepts `application/problem+json` gets the true HTTP status and a body after RFC 9457 with the same
members. Over gRPC the code below comes with `google.rpc.ErrorInfo`: `domain` is `portcullis`, `reason` as below, the details are in its metadata.

Not HTTP 200 are `/healthz` and `/readyz`, which are no part of the API, and the answer to a CONNECT, which is a problem always. The answer
to a HEAD has no body. Over HTTP/2 a head that is too large gets a bare 431, and a malformed one a reset. A connection on which no whole
head comes in time is closed without an answer, and so is one whose client does not read, or has too many of them ([services](services.md#api-gatewaytoml)).

Numbers from 9101 are this platform's own; the others are those of the original.

| `result` | `reason` | gRPC code | HTTP status | meaning |
|---|---|---|---|---|
";

#[test]
fn the_page_of_errors_says_what_the_contract_says() {
    let rows = ErrorKind::all().into_iter().map(|kind| {
        format!(
            "| {} | `{}` | `{}` | {} | {} |\n",
            kind.result(),
            kind.reason(),
            kind.code_name(),
            kind.http_status().as_u16(),
            kind.documentation()
        )
    });
    let page = format!("{HEAD}{}", rows.collect::<String>());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/errors.md is out of date: UPDATE_DOCS=1 cargo test -p proto --test errors");
}
