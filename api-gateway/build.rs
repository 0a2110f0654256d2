//! The dashboard's files are taken into the binary: whatever the dashboard's build has changed has the gateway built anew.

fn main() {
    println!("cargo::rerun-if-changed=../dashboard/dist");
}
