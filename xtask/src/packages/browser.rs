use super::{Package, on_path, search_path};

/// The browser that the dashboard is tried with, and letters for it.
pub(super) const PACKAGES: &[Package] = &[
    Package { name: "chromium", is_there: |_| on_path(&search_path(), "chromium") },
    Package {
        name: "fonts-dejavu-core",
        is_there: |_| std::fs::exists("/usr/share/fonts/truetype/dejavu").is_ok_and(|there| there),
    },
];
