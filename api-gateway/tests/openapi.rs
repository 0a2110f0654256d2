//! `docs/openapi.json` is made from the contract: `UPDATE_DOCS=1 cargo test -p api-gateway --test openapi` makes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_page_is_what_the_contract_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, api_gateway::openapi()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let fresh = written == api_gateway::openapi();
    assert!(fresh, "docs/openapi.json is out of date: UPDATE_DOCS=1 cargo test -p api-gateway --test openapi");
}
