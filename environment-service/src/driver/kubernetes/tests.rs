//! On a real API server with its controllers, under the roles of the manifest.

mod before;
mod conforming;
mod faults;
mod kubelet;
mod made;
mod roles;
mod stage;

use super::place::InvalidPlace;
use super::*;

#[test]
fn a_place_is_written_down_and_read_again() {
    for text in ["own/nodes/deployment/shop-7", "adopted/shop/statefulset/db.main"] {
        assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
    }
    assert_eq!(Place::from_key("shop/deployment/web").unwrap().key(), "shop/deployment/web");
    for text in
        ["", "own", "own/nodes/pod/a", "other/nodes/deployment/a", "own/nodes/deployment/", "own/a/deployment/b/c"]
    {
        assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
    }
}
