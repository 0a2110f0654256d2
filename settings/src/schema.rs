//! How values that are read in a way of their own stand in a description of a configuration.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! described {
    ($(#[doc = $doc:literal] $name:ident = $text:literal;)+) => {$(
        #[doc = $doc]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "title": $text })
            }
        }
    )+};
}

described! {
    /// A duration, as [`crate::duration`] reads it.
    DurationText = "duration";
    /// A text, or the file that holds it, as [`crate::text_or_file`] reads it.
    TextOrFileText = "text, or `{ file = \"…\" }`";
    /// How often something may be done.
    RateText = "`{ calls, per, burst }`, or `\"off\"`";
    /// Addresses of replicas, as [`crate::Addresses`] reads them.
    AddressesText = "text, or array of them";
}
